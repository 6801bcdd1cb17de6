"""One set of rules for text, numbers and codes from users and ERPs: API, admin, import and ack files.

text        which characters a text may contain, and the form in which it is stored
keys        one normal form for numbers that identify an order, a customer or a product
numbers     how a number is written
currencies  ISO 4217
strict_json JSON without duplicate keys
fields      model fields that apply the rules
forms       form fields that apply the rules
"""
