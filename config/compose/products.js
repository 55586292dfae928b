// The shop of compose.yaml: a thousand products, written once when the database is made.
db.getSiblingDB("product").products.insertMany(Array.from({ length: 1000 }, (_, index) => {
  const number = index + 1;
  return {
    _id: ObjectId(number.toString(16).padStart(24, "0")),
    title: `Sample product ${number}`,
    price: Number((number % 90 + 0.99).toFixed(2)),
    quantity: NumberInt(number % 40),
  };
}));
