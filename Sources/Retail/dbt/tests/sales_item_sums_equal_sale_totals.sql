-- Sales whose lines do not add up to their total, and those whose number of lines differs from what the source said.
select sale.id as sale_id, sale.total_amount, sum(item.amount) as line_amount, count(item.sale_id) as line_count
from {{ source('silver', 'sales_customer') }} as sale
left join {{ ref('sales_item') }} as item on item.sale_id = sale.id
group by sale.id, sale.total_amount, sale._line_count
having sale.total_amount is distinct from coalesce(sum(item.amount), 0)
    or count(item.sale_id) <> coalesce(sale._line_count, count(item.sale_id))
