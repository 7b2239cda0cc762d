# /// script
# requires-python = ">=3.10"
# dependencies = ["websockets>=14"]
# ///
"""Buys two units of a product in a demo, and follows its stock.

    pip install websockets
    python buy.py [URL of the shop]
"""

import json
import sys
import time
import uuid
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from websockets.sync.client import connect

shop = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
access_token = None


def call(method, path, body=None, **headers):
    """Sends a request. Returns the body and the headers of the response, or exits with the shop's explanation."""
    if access_token:
        headers["Authorization"] = f"Bearer {access_token}"
    if body is not None:
        headers["Content-Type"] = "application/json"
        body = json.dumps(body).encode()
    try:
        with urlopen(Request(shop + path, body, headers, method=method)) as response:
            return json.load(response), response.headers
    except HTTPError as error:
        problem = json.load(error)
        sys.exit(f"{problem['code']}: {problem['detail']}")


# Register and sign in.
account = {"email": f"{uuid.uuid4()}@example.com", "password": "correct horse battery"}
call("POST", "/api/v1/auth/register", account | {"name": "Ada"})
session, _ = call("POST", "/api/v1/auth/login", account)
access_token = session["accessToken"]

# Choose the cheapest product, and follow its stock from what was read.
products, headers = call("GET", "/api/v1/products?inStock=true&sort=price")
product = next(product for product in products["data"] if product["stockQuantity"] >= 2)
print(f"buying 2 × {product['name']}")
print(f"in stock: {product['stockQuantity']}")
with connect(f"{shop.replace('http', 'ws', 1)}/api/v1/ws?since={headers['X-Inventory-Seq']}") as live:
    live.send(json.dumps({"type": "subscribe", "productIds": [product["id"]]}))

    # Check out. With the key, the request can be repeated if the response is lost: there is one order.
    cart, _ = call("POST", "/api/v1/cart", {"productId": product["id"], "quantity": 2})
    key = {"Idempotency-Key": str(uuid.uuid4())}
    order, _ = call("POST", "/api/v1/orders", {"expectedTotal": cart["totalAmount"]}, **key)

    # Before the subscription starts, changes of other products arrive, too.
    messages = (json.loads(message) for message in live)
    updates = (message["products"] for message in messages if message["type"] == "INVENTORY_UPDATE")
    stock = next(change for products in updates for change in products if change["id"] == product["id"])
    print(f"in stock: {stock['stockQuantity']}")

# Pay. A real page opens the provider's checkout with this response; the demo has a simulator instead.
call("POST", f"/api/v1/orders/{order['id']}/pay")
call("POST", f"/demo/orders/{order['id']}/pay", {})

# The order is paid when the provider's webhook arrives.
while order["status"] == "PENDING":
    time.sleep(0.2)
    order, _ = call("GET", f"/api/v1/orders/{order['id']}")
print(f"order {order['number']} is {order['status']}")
