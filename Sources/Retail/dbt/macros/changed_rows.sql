{#
  The rows of a relation that the model does not hold just so: the first time all of them, afterwards only what is new
  or differs. It compares values, so late edits, replays of old files and changes by hand are all found.
#}
{% macro changed_rows(from_cte, columns) -%}
select {{ columns | join(', ') }} from {{ from_cte }}
{%- if is_incremental() %}
except
select {{ columns | join(', ') }} from {{ this }}
{%- endif %}
{%- endmacro %}

{# Removes what the source has no more; run after the new rows are in. #}
{% macro remove_gone(key_sql) -%}
{% if is_incremental() %}
delete from {{ this }} as model where not exists ({{ key_sql }})
{% else %}
select 1
{% endif %}
{%- endmacro %}
