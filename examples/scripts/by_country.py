"""Sum the orders of each country, the largest first."""

import json
import os
from collections import defaultdict

RATES = {"EUR": 1.0, "DKK": 7.46}

currency = os.environ["CURRENCY"]
sums = defaultdict(float)
for order in json.loads(os.environ["ORDERS"]):
    sums[order["country"]] += order["total"] * RATES[currency]
ranked = sorted(sums.items(), key=lambda item: -item[1])
table = "\n".join(f"{country},{total:.2f} {currency}" for country, total in ranked)
print(table)
print("OUTPUT:", json.dumps({"table": table}))
