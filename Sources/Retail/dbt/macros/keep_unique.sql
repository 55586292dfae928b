{#
  Sees to it that the model has a unique index on its key. Where it has none yet, rows that share a key go first, all
  but the last: comparing values would never find them.
#}
{% macro keep_unique(columns) -%}
do $unique$ begin
    if to_regclass('{{ this }}') is not null and not exists (
        select from pg_index as i
        where i.indrelid = to_regclass('{{ this }}') and i.indisunique and i.indisvalid and i.indpred is null
            and array(
                select a.attname::text from pg_attribute as a
                where a.attrelid = i.indrelid and a.attnum = any (i.indkey) order by 1
            ) = array(select unnest(array['{{ columns | join("', '") }}']) order by 1)
    ) then
        execute $do$
            delete from {{ this }} as model using {{ this }} as later
            where model.ctid < later.ctid {% for column in columns %} and model.{{ column }} = later.{{ column }}
            {%- endfor %}
        $do$;
        execute $do$ create unique index on {{ this }} ({{ columns | join(', ') }}) $do$;
    end if;
end $unique$
{%- endmacro %}
