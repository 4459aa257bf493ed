"""Deploy a package into the endpoint that AWS_ENDPOINT_URL names: `infra.local.deploy FOLDER KEY`.

One rule: the template is the shipped one, but for where the zip lies, for STROEM_ENV, for what
makes links and tokens, which is taken from this process's environment, for the CDN, which is the
front door's part here, and for the WebSocket API's stage, which deploys itself.
It speaks through `localstack-client`, so any service with LocalStack's API will do.
"""

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

STACK = "stroem"
ARTIFACTS = "stroem-artifacts"
WAIT_S = 120.0
LINKS = (
    "STROEM_LINK_KEY",
    "STROEM_BASE_URL",
    "STROEM_TOKEN_KEYS",
    "STROEM_NOTIFY_ALLOW",
    "STROEM_WEBSOCKET_URL",
)
DEPLOYMENT = "AWS::ApiGatewayV2::Deployment"


def deploy(session: Any, folder: Path, key: str) -> dict[str, str]:  # noqa: ANN401 - boto3 has no types
    """Create or update the stack from `folder` (zip and template) and return its outputs.

    Raises:
        SystemExit: the stack did not become complete; the message holds the service's reasons.
    """
    s3 = session.client("s3")
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=ARTIFACTS)
    s3.upload_file(str(folder / "deployment.zip"), ARTIFACTS, f"{key}.zip")
    template = json.dumps(for_emulator(folder / "sam.json", key)).encode()
    s3.put_object(Bucket=ARTIFACTS, Key=f"{key}.json", Body=template)
    cloudformation = session.client("cloudformation")
    request = {
        "StackName": STACK,
        # Within a request a template may have 51,200 bytes only; in a bucket, 1 MB.
        "TemplateURL": f"{s3.meta.endpoint_url}/{ARTIFACTS}/{key}.json",
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        "Parameters": [{"ParameterKey": "Cdn", "ParameterValue": "no"}],
    }
    if _status(cloudformation) is None:
        cloudformation.create_stack(**request)
    else:
        _update(cloudformation, request)
    return _outputs(cloudformation)


def for_emulator(template: Path, key: str) -> dict[str, Any]:
    patched: dict[str, Any] = json.loads(template.read_text())
    for resource in patched["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = f"s3://{ARTIFACTS}/{key}.zip"
    _deploy_itself(patched["Resources"])
    variables = patched["Globals"]["Function"]["Environment"]["Variables"]
    variables["STROEM_ENV"] = "local"
    variables |= {name: os.environ[name] for name in LINKS if name in os.environ}
    return patched


def _deploy_itself(resources: dict[str, Any]) -> None:
    """Let stages take their routes themselves: MiniStack refuses to make a deployment of them."""
    for name in [name for name, one in resources.items() if one["Type"] == DEPLOYMENT]:
        del resources[name]
    for stage in resources.values():
        if stage["Type"] == "AWS::ApiGatewayV2::Stage":
            del stage["Properties"]["DeploymentId"]
            stage["Properties"]["AutoDeploy"] = True


def _update(cloudformation: Any, request: dict[str, Any]) -> None:  # noqa: ANN401 - boto3 has no types
    try:
        cloudformation.update_stack(**request)
    except cloudformation.exceptions.ClientError as error:
        if "No updates" not in str(error):
            raise


def _status(cloudformation: Any) -> dict[str, Any] | None:  # noqa: ANN401 - boto3 has no types
    try:
        stacks = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
    except cloudformation.exceptions.ClientError as error:
        if "does not exist" not in str(error):
            raise
        return None
    return stacks[0] if stacks else None


def _outputs(cloudformation: Any) -> dict[str, str]:  # noqa: ANN401 - boto3 has no types
    deadline = time.monotonic() + WAIT_S
    while True:
        stack = _status(cloudformation) or {"StackStatus": "absent"}
        status = stack["StackStatus"]
        if status in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
            return {o["OutputKey"]: o["OutputValue"] for o in stack["Outputs"]}
        if not status.endswith("IN_PROGRESS") or time.monotonic() > deadline:
            raise SystemExit(f"The stack is {status}.\n{_reasons(cloudformation)}")
        time.sleep(0.05)


def _reasons(cloudformation: Any) -> str:  # noqa: ANN401 - boto3 has no types
    events = cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]
    failed = [e for e in events if "FAILED" in e["ResourceStatus"]]
    return "\n".join(
        f"  {e['LogicalResourceId']}: {e.get('ResourceStatusReason', 'no reason given')}"
        for e in failed
    )


def main() -> None:
    # Loaded late: the tests read the patched template without it.
    from localstack_client.session import Session  # noqa: PLC0415

    # The endpoint comes by AWS_ENDPOINT_URL, which localstack-client reads.
    folder, key = sys.argv[1:]
    print(json.dumps(deploy(Session(), Path(folder), key)))


if __name__ == "__main__":
    main()
