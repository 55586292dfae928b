-- The cart's table as its service makes it, with an old price, a row too few and a row too many.
CREATE TABLE product (
    id varchar PRIMARY KEY, title varchar, price numeric, image varchar, "sellerId" varchar, quantity int
);
INSERT INTO product (id, title, price, quantity)
SELECT lpad(to_hex(n), 24, '0'), 'Sample product ' || n, n % 90 + CASE WHEN n % 41 = 0 THEN 1.49 ELSE 0.99 END, n % 40
FROM generate_series(1, 1000) n
WHERE n % 16 <> 0;
INSERT INTO product (id, title) VALUES ('ffffffffffffffffffffffff', 'Nobody sells this any more');
