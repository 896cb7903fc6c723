"""Where customers of the delivery pack act."""

from __future__ import annotations

from prodsense.contracts.vocabulary import EventSource

#: An order is what a customer does; the view leaves internal customers out.
EVENTS_TABLE = EventSource("orders", user="customer_id", time="order_timestamp")
