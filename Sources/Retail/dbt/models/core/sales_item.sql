{{ config(
    unique_key='sales_item_id',
    pre_hook="{{ keep_unique(['sales_item_id']) }}",
    post_hook=[
        "{{ remove_gone('select 1 from ' ~ source('silver', 'sales_product') ~ ' as l join ' ~ source('silver', 'sales_customer') ~ ' as h on h.id = l.sale_id where l.sale_id = model.sale_id and l.line_no = model.line_no') }}",
        "{{ keep_unique(['sales_item_id']) }}"
    ]
) }}
with items as (
    select line.sale_id || '-' || line.line_no as sales_item_id, line.sale_id, line.line_no, line.product_sku,
        sale.customer_id, sale.datetime as sold_at, line.quantity, line.amount
    from {{ source('silver', 'sales_product') }} as line
    join {{ source('silver', 'sales_customer') }} as sale on sale.id = line.sale_id
)
{{ changed_rows('items', [
    'sales_item_id', 'sale_id', 'line_no', 'product_sku', 'customer_id', 'sold_at', 'quantity', 'amount'
]) }}
