"""English texts that services raise or store in rows, and their translation when they are shown."""

from django.utils.translation import gettext_noop

from orderflow.orders.sentences import OF_ORDERS, speaker

NO_CONNECTION = "There is no active ERP connection: set one up, test it, and push again."
STILL_ACTIVE = gettext_noop(
    "This connection is active: what waits on it goes out by itself, or once its fault is corrected."
)
NO_TARGET = gettext_noop(
    "This org has no other active connection of this type. Set one up or activate one, then move the exports."
)
IN_USE = gettext_noop("A worker is still delivering over this connection. Try again in a few minutes.")
SEVERAL_ORGS = gettext_noop(
    "it answers order files of several orgs, or unknown order files; write one file for each org"
)
SERVER_LIMITS = (
    gettext_noop("limits of the server: %(parts)s. %(value)s"),
    gettext_noop("none met"),
    gettext_noop("at most %(n)s files open at once"),
    gettext_noop("only one channel"),
    gettext_noop("at most %(n)s channels at once"),
    gettext_noop(
        "it gives two open files the same handle (a protocol violation that swaps files), "
        "so one file is written at a time"
    ),
)

REFUSALS = (
    NO_CONNECTION,
    STILL_ACTIVE,
    NO_TARGET,
    IN_USE,
    gettext_noop("There is no such order."),
    gettext_noop("There is no such order any more, or it is not yours."),
    gettext_noop("There is no such export."),
    gettext_noop("Order %(order)s is %(status)s: approve it first."),
    gettext_noop("Order %(order)s is %(status)s: correct and approve it, or retry the push."),
    gettext_noop("Order %(order)s is on its way: export %(export)s."),
    gettext_noop("Order %(order)s was sent already: export %(export)s."),
    gettext_noop("Order %(order)s is %(status)s: only an order in ERROR can be retried."),
    gettext_noop("A newer export of the order counts: %(export)s."),
    gettext_noop("It was pushed before; nothing is sent twice."),
    gettext_noop("%(who)s was switched off meanwhile."),
    gettext_noop("%(n)s orders were chosen; one run takes %(most)s at most."),
    gettext_noop("An export can't go from %(status)s to %(to)s."),
    gettext_noop("%(n)s exports have another status now."),
    gettext_noop("Exports that were locked have another status now."),
    gettext_noop("This export has no answer that needs attention."),
    gettext_noop("This ack file needs no attention."),
    gettext_noop("Its file is not written yet, so the ERP can't have answered it."),
    gettext_noop("The order was sent anew or is being changed: this export decides nothing any more."),
    gettext_noop(
        "The ERP accepted it as %(number)s, and that is done. Cancel or change the order in the ERP."
    ),
    gettext_noop("Say who told you, and what: 1 to %(most)s readable characters."),
    gettext_noop("Write the number the ERP gave to the order: 1 to %(most)s readable characters."),
    gettext_noop("This org already has an active %(type)s connection. Disable it first."),
    gettext_noop(
        "%(n)s exports are staged in %(folder)s and not published yet. "
        "Wait until they are sent, then change the destination."
    ),
)
EVENTS = (
    gettext_noop("no answer within %(time)s"),
    gettext_noop("ERP number %(number)s by %(source)s, instead of %(before)s"),
    gettext_noop("ERP number %(number)s"),
    gettext_noop("%(source)s says accepted as %(number)s"),
    gettext_noop("%(source)s says refused: %(reason)s"),
)
ACK_REASONS = (
    gettext_noop("the number %(n)s"),
    gettext_noop("true or false"),
    gettext_noop("a list"),
    gettext_noop("an object"),
    gettext_noop("no export of this org has the file name %(name)s"),
    gettext_noop("its export is not written yet"),
    gettext_noop("it names no order file"),
    gettext_noop("it holds %(number)s answers; write 1 to %(most)s"),
    SEVERAL_ORGS,
    gettext_noop('"status" is missing; write "ACKED" or "FAILED"'),
    gettext_noop('"status" is %(value)s; write "ACKED" or "FAILED"'),
    gettext_noop(
        'the file name says %(expected)s, "status" says %(found)s; they must agree: '
        "ack_ files say ACKED, error_ files say FAILED"
    ),
    gettext_noop('"erp_order_id" is missing; write the number the ERP gave to the order'),
    gettext_noop(
        '"erp_order_id" is the number %(value)s, which is not a whole one; '
        "write it in double quotes, just as the ERP shows it"
    ),
    gettext_noop('"%(key)s" is %(value)s; write a text in double quotes, or leave it out'),
    gettext_noop('"%(key)s" is %(value)s; write a text in double quotes'),
    gettext_noop(
        '"%(key)s" %(value)s is not plain ASCII, and the file is not UTF-8; write the file in UTF-8'
    ),
    gettext_noop('"%(key)s" is empty; write the number the ERP gave to the order'),
    gettext_noop('"%(key)s" has %(n)s characters; write at most %(most)s'),
    gettext_noop(
        '"%(key)s" %(value)s holds characters that can\'t be shown; write letters, digits and signs only'
    ),
    gettext_noop('"%(key)s" is there twice with different values; write it once'),
    gettext_noop("it is nested too deeply; write one plain object like %(example)s"),
    gettext_noop("it is JSON, but not an object; write one like %(example)s"),
    gettext_noop("it is empty; write one JSON object like %(example)s"),
    gettext_noop(
        "it ends in the middle (line %(line)s): not JSON yet; write the whole object, best under a name "
        "that ends in .tmp, and rename the file when it is complete"
    ),
    gettext_noop(
        "something follows the first JSON value (line %(line)s, column %(column)s); "
        "write one object to a file, and nothing behind it"
    ),
    gettext_noop(
        "it is not JSON: %(why)s at line %(line)s, column %(column)s; "
        "write one object like %(example)s, texts in double quotes"
    ),
    gettext_noop("it looks like %(encoding)s, but byte %(byte)s does not fit; write the file in UTF-8"),
    gettext_noop("a part of it is UTF-8 and a part is not (byte %(byte)s); write the whole file in UTF-8"),
    gettext_noop("it is neither UTF-8 (byte %(byte)s) nor Windows-1252 (Latin-1); write the file in UTF-8"),
)
PROBE = (
    gettext_noop("%(folder)s: a test file was %(parts)s. %(value)s"),
    gettext_noop("written, renamed and removed"),
    gettext_noop("written and removed"),
    gettext_noop("something took it meanwhile"),
    gettext_noop("file_mode %(wanted)s was not applied: the file has %(mode)s."),
    gettext_noop("Each order appears exactly once, always whole."),
    gettext_noop("Each order appears exactly once, always whole, followed by its .done marker."),
    gettext_noop("Each order is written at least once. %(why)s"),
    gettext_noop(
        "Without rename each order is written at least once, and "
        "only one that waits for the .done marker never sees part of a file."
    ),
    gettext_noop("Without rename each order is written at least once, and a reader may see part of a file."),
    gettext_noop("the rename was refused at first, as if a virus scanner held the file"),
    gettext_noop(
        "%(folder)s: %(n)s names listed; processed/ and error/ can be written. "
        "Orders go to this folder, too: choose another one for the answers"
    ),
    gettext_noop("%(folder)s: %(n)s names listed; processed/ and error/ can be written"),
    *SERVER_LIMITS,
    gettext_noop("The size could not be confirmed: %(why)s."),
    gettext_noop("file_mode was refused: %(why)s."),
    gettext_noop("fsync was refused: %(why)s."),
    gettext_noop("extensions: none"),
    gettext_noop("extensions: %(names)s"),
    gettext_noop("a rename over an existing file replaces it; %(value)s"),
    gettext_noop("a rename over an existing file is refused; %(value)s"),
    gettext_noop("%(server)s. Warning: it needs outdated algorithms (%(names)s)"),
    gettext_noop("as %(who)s with password"),
    gettext_noop("as %(who)s with key %(type)s and password"),
    gettext_noop("as %(who)s with key %(type)s"),
)

in_words = speaker((*OF_ORDERS, *REFUSALS, *EVENTS, *ACK_REASONS, *PROBE))
