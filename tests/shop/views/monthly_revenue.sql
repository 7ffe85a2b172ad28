-- Revenue by month and channel, beside the month before and the running sum: windows over a total order.
WITH months AS (
    SELECT date_trunc('month', o.placed AT TIME ZONE 'UTC')::date AS month, o.channel,
           count(DISTINCT o.id) AS orders,
           count(DISTINCT o.id) FILTER (WHERE o.status = 'cancelled') AS cancelled,
           coalesce(sum(i.quantity * i.price) FILTER (WHERE o.status <> 'cancelled'), 0) AS revenue
    FROM orders o LEFT JOIN order_items i ON i.order_id = o.id
    GROUP BY 1, 2
)
SELECT month, channel, orders, cancelled, revenue,
       lag(revenue) OVER by_month AS month_before,
       sum(revenue) OVER (by_month ROWS UNBOUNDED PRECEDING) AS running,
       round(100 * revenue / nullif(sum(revenue) OVER (PARTITION BY month), 0), 2) AS percent_of_month
FROM months
WINDOW by_month AS (PARTITION BY channel ORDER BY month)
