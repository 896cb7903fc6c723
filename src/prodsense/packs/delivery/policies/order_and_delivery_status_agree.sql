SELECT
    'the order is delivered and its delivery is not, or the other way round' AS violation,
    o.order_id,
    o.order_status,
    d.delivery_status
FROM order_facts AS o
JOIN delivery_facts AS d ON d.delivery_id = o.delivery_id
WHERE (o.order_status = 'delivered') <> (d.delivery_status = 'delivered')
