// Takes `/ws` and Strøm's `/api/jobs/{id}/logs/stream` to the WebSocket API, which has one path and
// knows a caller by the query alone. What infra/local/live_paths.py does on a local stack, this does
// in AWS; one table of cases tests both. API Gateway itself refuses what is no upgrade.
const STAGE = '/live';
const JOB = /^\/api\/jobs\/([0-9A-Za-z-]{1,64})\/logs\/stream$/;
const TICKET = ['ticket'];
const STREAM = ['token', 'skip_backfill'];

function handler(event) {
  const request = event.request;
  const found = JOB.exec(request.uri);
  if (!found && request.uri !== '/ws') {
    return { statusCode: 404, statusDescription: 'Not Found' };
  }
  const query = {};
  for (const name of found ? STREAM : TICKET) {
    if (request.querystring[name]) {
      // Of a name that comes twice, `value` is the first.
      query[name] = { value: request.querystring[name].value };
    }
  }
  if (found) {
    query.job = { value: found[1] };
  }
  request.uri = STAGE;
  request.querystring = query;
  return request;
}
