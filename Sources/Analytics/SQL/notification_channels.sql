-- Notifications of the window by channel, with rates in percent.
SELECT $3::date AS notification_date, channel,
    sum(sent)::bigint AS total_sent,
    sum(delivered)::bigint AS delivered,
    sum(opened)::bigint AS opened,
    sum(clicked)::bigint AS clicked,
    coalesce(round(100.0 * sum(delivered) / nullif(sum(sent), 0), 2), 0.00) AS delivery_rate,
    coalesce(round(100.0 * sum(opened) / nullif(sum(delivered), 0), 2), 0.00) AS open_rate,
    coalesce(round(100.0 * sum(clicked) / nullif(sum(opened), 0), 2), 0.00) AS click_rate,
    coalesce(round(100.0 * sum(clicked) / nullif(sum(sent), 0), 2), 0.00) AS click_through_rate,
    CASE WHEN $10::text[] && '{bounced_at,status}' THEN sum(bounced)::bigint END AS bounced,
    CASE WHEN $10::text[] && '{failed_at,status}' THEN sum(failed)::bigint END AS failed
FROM (
    SELECT sent, delivered, opened, clicked, bounced, failed,
        CASE WHEN raw_channel IS NULL THEN 'unknown'
            WHEN raw_channel::text ~ '^[A-Za-z][A-Za-z0-9_.+-]{0,39}$' AND raw_channel::text !~ '[0-9]{6}'
            THEN raw_channel::text
            ELSE 'other' END AS channel
    FROM (
        SELECT channel AS raw_channel,
            count(*) AS sent, count(delivered_at) AS delivered, count(opened_at) AS opened,
            count(clicked_at) AS clicked,
            count(*) FILTER (WHERE n.bounced_at IS NOT NULL OR n.status = 'bounced') AS bounced,
            count(*) FILTER (WHERE n.failed_at IS NOT NULL OR n.status = 'failed') AS failed
        FROM (SELECT NULL::timestamptz AS bounced_at, NULL::timestamptz AS failed_at, NULL::text AS status) AS absent
        CROSS JOIN LATERAL (
            SELECT channel, notification_type, delivered_at, opened_at, clicked_at, bounced_at, failed_at,
                status::text AS status
            FROM {notifications} WHERE sent_at >= $1 AND sent_at < $2
        ) AS n
        GROUP BY channel
    ) AS by_kind
) AS labelled
GROUP BY channel
