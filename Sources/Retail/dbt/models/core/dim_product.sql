{{ config(
    unique_key='product_sku',
    pre_hook="{{ keep_unique(['product_sku']) }}",
    post_hook=[
        "{{ remove_gone('select 1 from ' ~ source('silver', 'products') ~ ' as s where s.product_sku = model.product_sku') }}",
        "{{ keep_unique(['product_sku']) }}"
    ]
) }}
with products as (
    select product_sku, description, unit_amount, supplier
    from {{ source('silver', 'products') }}
)
{{ changed_rows('products', ['product_sku', 'description', 'unit_amount', 'supplier']) }}
