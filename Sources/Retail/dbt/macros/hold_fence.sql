{#
  Refuses to go on when another run has taken over the job: a dbt whose daemon was killed lives on, and would write
  beside the next one. Without the variable, as when dbt is run by hand, nothing is looked at.
#}
{% macro hold_fence() -%}
{%- if var('tallyman_fence', none) is not none -%}
do $fence$ begin
    if not exists (
        select from etl.fences where job = 'retail' and fence = {{ var('tallyman_fence') | int }}
    ) then
        raise exception 'another run of the retail job has taken over';
    end if;
end $fence$
{%- else -%}
select 1
{%- endif -%}
{%- endmacro %}
