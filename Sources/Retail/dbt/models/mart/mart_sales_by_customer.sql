{{ config(
    unique_key=['customer_id', 'sales_date'],
    pre_hook="{{ keep_unique(['customer_id', 'sales_date']) }}",
    post_hook=[
        "{{ remove_gone('select 1 from ' ~ ref('sales_item') ~ ' as i where coalesce(i.customer_id, \\'unknown\\') = model.customer_id and (i.sold_at at time zone \\'UTC\\')::date = model.sales_date') }}",
        "{{ keep_unique(['customer_id', 'sales_date']) }}"
    ]
) }}
with days as (
    select coalesce(customer_id, 'unknown') as customer_id, (sold_at at time zone 'UTC')::date as sales_date,
        count(distinct sale_id) as sale_count, sum(quantity) as quantity, sum(amount) as total_amount
    from {{ ref('sales_item') }}
    where sold_at is not null
    group by 1, 2
)
{{ changed_rows('days', ['customer_id', 'sales_date', 'sale_count', 'quantity', 'total_amount']) }}
