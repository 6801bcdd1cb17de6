"""One set of rules for text, numbers and codes that users write, by API, admin, import or ack file.

text        which characters a text may contain, and the form in which it is stored
keys        one normal form for what identifies an order, a customer or a product
numbers     how a number is written
currencies  ISO 4217
strict_json a JSON text whose objects have each key once
fields      model fields that apply the rules
"""
