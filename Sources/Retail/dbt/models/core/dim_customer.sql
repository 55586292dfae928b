{{ config(
    unique_key='customer_id',
    pre_hook="{{ keep_unique(['customer_id']) }}",
    post_hook=[
        "{{ remove_gone('select 1 from ' ~ source('silver', 'customers') ~ ' as s where s.customer_id = model.customer_id') }}",
        "{{ keep_unique(['customer_id']) }}"
    ]
) }}
with customers as (
    select customer_id, emails, phone_numbers, emails[1] as primary_email,
        coalesce(cardinality(emails), 0) as email_count
    from {{ source('silver', 'customers') }}
)
{{ changed_rows('customers', ['customer_id', 'emails', 'phone_numbers', 'primary_email', 'email_count']) }}
