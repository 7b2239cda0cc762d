"""Registers, buys two units and sees the stock fall, with the client that openapi-python-client generated."""

import json
import sys
import time
import uuid

from websockets.sync.client import connect

from shop_client import AuthenticatedClient, Client
from shop_client.api.accounts import login, register
from shop_client.api.cart import add_to_cart
from shop_client.api.catalog import get_product, list_products
from shop_client.api.orders import get_order, pay_order, place_order
from shop_client.models import (
    AddToCart,
    InventoryUpdateMessage,
    ListProductsSort,
    LoginRequest,
    OrderStatus,
    PlaceOrder,
    Problem,
    ProblemCode,
    RegisterRequest,
    SubscribeMessage,
    SubscribeMessageType,
)

shop = sys.argv[1]


def ok(answer):
    """Returns the body of a successful response."""
    if answer is None or isinstance(answer, Problem):
        raise RuntimeError(answer)
    return answer


# an account
email, password = f"{uuid.uuid4()}@example.com", "correct horse battery"
anonymous = Client(shop, raise_on_unexpected_status=True)
ok(register.sync(client=anonymous, body=RegisterRequest(email=email, password=password, name="Ada")))
session = ok(login.sync(client=anonymous, body=LoginRequest(email=email, password=password)))
ada = AuthenticatedClient(shop, token=session.access_token, raise_on_unexpected_status=True)

# an error
assert place_order.sync(client=ada).code == ProblemCode.CART_EMPTY

# live stock of the cheapest product
products = ok(list_products.sync(client=anonymous, in_stock=True, sort=ListProductsSort.PRICE)).data
product_id = next(product.id for product in products if product.stock_quantity > 1)
loaded = get_product.sync_detailed(product_id, client=anonymous)
print(f"in stock: {ok(loaded.parsed).stock_quantity}")
with connect(f"{shop.replace('http', 'ws', 1)}/api/v1/ws?since={loaded.headers['X-Inventory-Seq']}") as live:
    subscribe = SubscribeMessage(type_=SubscribeMessageType.SUBSCRIBE, product_ids=[product_id])
    live.send(json.dumps(subscribe.to_dict()))

    # an order; the request is repeated, as after a lost response
    cart = ok(add_to_cart.sync(client=ada, body=AddToCart(product_id=product_id, quantity=2)))
    body = PlaceOrder(expected_total=cart.total_amount)
    first, repeated = (ok(place_order.sync(client=ada, body=body, idempotency_key="first-order")) for _ in range(2))
    assert first.id == repeated.id

    messages = (json.loads(message) for message in live)
    updates = (InventoryUpdateMessage.from_dict(it) for it in messages if it["type"] == "INVENTORY_UPDATE")
    changes = (change for update in updates for change in update.products)
    print(f"in stock: {next(change.stock_quantity for change in changes if change.id == product_id)}")

# the payment, which the demo simulates
ok(pay_order.sync(first.id, client=ada))
ada.get_httpx_client().post(f"/demo/orders/{first.id}/pay", json={}).raise_for_status()
while (order := ok(get_order.sync(first.id, client=ada))).status == OrderStatus.PENDING:
    time.sleep(0.02)
print(f"order {order.number} is {order.status}")
