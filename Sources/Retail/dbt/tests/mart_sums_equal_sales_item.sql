-- The mart must hold every line once: both sides summed over everything must agree.
with mart as (
    select coalesce(sum(total_amount), 0) as amount, coalesce(sum(quantity), 0) as quantity
    from {{ ref('mart_sales_by_customer') }}
),
items as (
    select coalesce(sum(amount), 0) as amount, coalesce(sum(quantity), 0) as quantity
    from {{ ref('sales_item') }}
)
select mart.amount as mart_amount, items.amount as item_amount, mart.quantity as mart_quantity,
    items.quantity as item_quantity
from mart cross join items
where mart.amount <> items.amount or mart.quantity <> items.quantity
