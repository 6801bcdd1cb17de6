"""SQL for the search on PostgreSQL: the normal form as a function, and an index of order numbers.

The index has a table of its own, `orders_number_forms`, which triggers fill. Behind row-level security PostgreSQL may
not ask an index of words of the orders' own table before the policy, as it does not know that comparing words reveals
nothing; so it would read every order of the org. Only the owner can read this table. The program calls the function
`orderflow_find_orders`, which runs as the owner and returns only orders of the orgs that the transaction claims.
"""

# ruff: noqa: S608  # every name in the statements is one of ours

from collections.abc import Iterator
from unicodedata import normalize

from orderflow.search.lookups import FUNCTION
from orderflow.search.normal_form import (
    LONGEST,
    MARKS,
    ONE_CHARACTER_WORDS,
    SEPARATORS,
    Ranges,
    characters,
    fold_letter,
)
from orderflow.tenancy.rls.policies import CLAIM

TABLE, INDEX, FIND = "orders_number_forms", "orders_number_words", "orderflow_find_orders"
ORDERS = "orders_draftorder"
# Each word of a form as a lexeme; the query has a prefix for each search word.
WORDS = "array_to_tsvector(string_to_array(btrim(form), ' '))"
# translate() compares each character with its whole list, so that rare letters have a second one, run if needed.
COMMON: Ranges = ((0x0080, 0x024F), (0x0370, 0x03FF), (0x0400, 0x045F))
# No script beyond this code point has upper case.
END_OF_CASES = 0x20000
_FORM_OF = f"{FUNCTION}({{0}}external_order_number || ' ' || {{0}}erp_order_id)"


def create(schema: str) -> Iterator[str]:
    """Yield the statements that create function, table and triggers; ``schema`` is the quoted schema of the orders."""
    yield from _normal_form(schema)
    yield f"CREATE TABLE {TABLE} (order_id uuid PRIMARY KEY, org_id uuid NOT NULL, form text NOT NULL)"
    yield f"CREATE INDEX {INDEX} ON {TABLE} USING gin ({WORDS})"
    # Without FORCE: only the owner, whose functions read and write the table, is exempt.
    yield f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY"
    yield from _triggers(schema)
    yield _find(schema)
    yield (
        f"INSERT INTO {TABLE} SELECT id, org_id, {_FORM_OF.format('')} FROM {ORDERS}"
        " WHERE external_order_number <> '' OR erp_order_id <> ''"
    )


def drop() -> Iterator[str]:
    """Yield the statements that undo `create`."""
    for name in ("inserted", "updated", "deleted"):
        yield f"DROP TRIGGER orderflow_number_{name} ON {ORDERS}"
        yield f"DROP FUNCTION orderflow_number_{name}()"
    yield f"DROP FUNCTION {FIND}(uuid[], text, integer)"
    yield f"DROP TABLE {TABLE}"
    yield f"DROP FUNCTION {FUNCTION}(text)"
    yield f"DROP FUNCTION {FUNCTION}_of_any_script(text)"


def _normal_form(schema: str) -> Iterator[str]:
    common, rare, several = _letters()
    replaced = "t"
    for letter, letters in several.items():
        replaced = f"replace({replaced}, '{letter}', '{letters}')"
    yield f"""
CREATE FUNCTION {FUNCTION}_of_any_script(t text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
  t := regexp_replace(normalize(t, NFKD), '[{characters(MARKS)}]+', '', 'g');
  IF octet_length(t) <> char_length(t) THEN
    t := translate({replaced}, '{"".join(common)}', '{"".join(common.values())}');
    IF t ~ '[{characters(_ranges(rare))}]' THEN
      t := translate(t, '{"".join(rare)}', '{"".join(rare.values())}');
    END IF;
    t := regexp_replace(t, '([{characters(ONE_CHARACTER_WORDS)}])', ' \\1 ', 'g');
  END IF;
  t := replace(replace(replace(lower(t COLLATE "C"), 'ae', 'a'), 'oe', 'o'), 'ue', 'u');
  RETURN left(' ' || btrim(regexp_replace(t, '[{characters(SEPARATORS)}]+', ' ', 'g'), ' '), {LONGEST});
END $$
"""
    # Nearly every text is ASCII. PostgreSQL inlines this expression.
    ascii_only = "replace(replace(replace(lower(t COLLATE \"C\"), 'ae', 'a'), 'oe', 'o'), 'ue', 'u')"
    yield f"""
CREATE FUNCTION {FUNCTION}(t text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN octet_length(t) = char_length(t)
    THEN left(' ' || btrim(regexp_replace({ascii_only}, '[^0-9a-z]+', ' ', 'g'), ' '), {LONGEST})
    ELSE {schema}.{FUNCTION}_of_any_script(t) END
$$
"""


def _letters() -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Return the letters to replace: common ones by one letter, rare ones by one letter, any by several letters."""
    common: dict[str, str] = {}
    rare: dict[str, str] = {}
    several: dict[str, str] = {}
    for code in range(0x80, END_OF_CASES):
        letter = chr(code)
        folded = fold_letter(letter)
        if folded == letter or normalize("NFKD", letter) != letter or _is_in(code, MARKS):
            continue
        chosen = several if len(folded) > 1 else common if _is_in(code, COMMON) else rare
        chosen[letter] = folded
    return common, rare, several


def _is_in(code: int, ranges: Ranges) -> bool:
    return any(first <= code <= last for first, last in ranges)


def _ranges(letters: dict[str, str]) -> Iterator[tuple[int, int]]:
    """Yield the ranges of consecutive code points."""
    codes = sorted(map(ord, letters))
    first = codes[0]
    for code, following in zip(codes, [*codes[1:], 0], strict=True):
        if following != code + 1:
            yield first, code
            first = following


def _triggers(schema: str) -> Iterator[str]:
    numbered = "external_order_number <> '' OR erp_order_id <> ''"
    store = "ON CONFLICT (order_id) DO UPDATE SET org_id = EXCLUDED.org_id, form = EXCLUDED.form"
    bodies = {
        "inserted": (
            f"INSERT INTO {schema}.{TABLE} SELECT id, org_id, {schema}.{_FORM_OF.format('')}"
            f" FROM made WHERE {numbered} {store};",
            "AFTER INSERT ON {0} REFERENCING NEW TABLE AS made FOR EACH STATEMENT",
        ),
        "updated": (
            f"INSERT INTO {schema}.{TABLE} VALUES (NEW.id, NEW.org_id, {schema}.{_FORM_OF.format('NEW.')}) {store};",
            "AFTER UPDATE OF external_order_number, erp_order_id, org_id ON {0} FOR EACH ROW WHEN ((OLD.org_id, "
            "OLD.external_order_number, OLD.erp_order_id) IS DISTINCT FROM (NEW.org_id, NEW.external_order_number, "
            "NEW.erp_order_id))",
        ),
        "deleted": (
            f"DELETE FROM {schema}.{TABLE} USING gone WHERE order_id = gone.id;",
            "AFTER DELETE ON {0} REFERENCING OLD TABLE AS gone FOR EACH STATEMENT",
        ),
    }
    for name, (body, when) in bodies.items():
        yield f"""
CREATE FUNCTION orderflow_number_{name}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  {body}
  RETURN NULL;
END $$
"""
        yield (
            f"CREATE TRIGGER orderflow_number_{name} {when.format(ORDERS)}"
            f" EXECUTE FUNCTION orderflow_number_{name}()"
        )


def found(schema: str, orgs: str, query: str, most: str) -> str:
    """Return the statement that queries the index."""
    return (
        f"SELECT order_id FROM {schema}.{TABLE} WHERE {WORDS} @@ {query}::tsquery"
        f" AND ({orgs} IS NULL OR org_id = ANY ({orgs})) LIMIT {most}"
    )


def _find(schema: str) -> str:
    """Return the statement that creates `FIND`. ``orgs`` NULL: any. Claims count only with row-level security."""
    return f"""
CREATE FUNCTION {FIND}(orgs uuid[], words text, most integer) RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 50
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
  claim text := coalesce(current_setting('{CLAIM}', true), '');
  claimed uuid[];
BEGIN
  IF claim <> '*' AND (SELECT relrowsecurity FROM pg_class WHERE oid = '{schema}.{ORDERS}'::regclass) THEN
    claimed := string_to_array(claim, ',')::uuid[];
    orgs := CASE WHEN orgs IS NULL THEN claimed
      ELSE ARRAY(SELECT unnest(orgs) INTERSECT SELECT unnest(claimed)) END;
  END IF;
  RETURN QUERY {found(schema, "orgs", "words", "most")};
END $$
"""
