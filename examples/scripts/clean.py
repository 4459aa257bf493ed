"""Keep the rows that make sense: a country, and a positive price and quantity."""

import json
import os
import sys

orders, dropped = [], 0
for number, row in enumerate(json.loads(os.environ["ROWS"]), start=2):
    try:
        price, quantity = float(row["price"]), int(row["quantity"])
        if not row["country"] or price <= 0 or quantity <= 0:
            raise ValueError("no country, or a price or quantity that is not positive")
    except ValueError as error:
        dropped += 1
        print(f"line {number} dropped: {error}", file=sys.stderr)
        continue
    orders.append({"country": row["country"], "total": round(price * quantity, 2)})
print(f"kept {len(orders)}, dropped {dropped}")
print("OUTPUT:", json.dumps({"orders": orders, "dropped": dropped}))
