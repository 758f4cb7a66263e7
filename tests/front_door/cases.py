"""The cases that the front door's page has a row for, section by section."""

from __future__ import annotations

from typing import Final

CASES: Final = {
    "Keys and headers": """
        a delivery; signed by the older secret; signed by both secrets; one signature of several
        is right; signed by a stranger; no signature; empty signature; no id; empty id; no time;
        no headers of a delivery; signature cut short; signature that is not base64; more
        signatures than are looked at; signatures separated by commas; two headers of
        signatures; two ids; two times; names in capitals; names with underscores instead; names
        with underscores besides; names of an older standard; longest id; id too long; id with a
        blank; id with a brace; id that is not ASCII; id with a dot; body changed on the way;
        GET; HEAD; PUT with a body; OPTIONS; TRACE; method that nobody knows; no slash at the
        end; address that is none; two slashes; dots in the address; query behind the address;
        Host of another; Host that is none
    """,
    "Time and replay": """
        just inside the window, late; just inside the window, early; stale; from the future;
        time with a fraction; time with a sign; time in milliseconds; negative time; time in
        words; time of 5,000 digits; time in other digits than ASCII's; blanks around the time;
        sent twice; tried again, signed anew; tried again by the older secret; replayed when the
        window is over; recorded signature with a new time; same id, other body; same id, same
        event with a blank more; same id, body that is not JSON; same id, event that is not
        valid; same body, other id; id in other letters; update before its Post is created;
        deletion of a Post that is not known; older event of a Post that is known
    """,
    "Parsing": """
        no content type; plain text; form; form with files; other kind of JSON; content type
        that is none; content type with a parameter; compressed; compressed, it says; said not
        to be compressed; unsigned and of another type; of another type and no JSON; unsigned
        and no JSON; empty body; blanks alone; JSON that is cut off; single quotes; comma at the
        end; comment; two documents; form in the place of JSON; line end in a text; NUL byte;
        byte order mark; UTF-16; UTF-16 without a mark; UTF-32; Latin-1; overlong UTF-8; half a
        surrogate pair in UTF-8; NaN; infinity; field twice; field twice with one value; field
        twice, once in other letters; unknown field twice; arrays 100,000 deep; objects 100,000
        deep; unknown field 100,000 deep; array; text; number; nothing; empty object; number too
        large; unknown number too large; number of 5,000 digits; numbers that are only odd; no
        type; type that is not known; type in capitals; type that is no text; no timestamp;
        timestamp without a zone; timestamp without a time; timestamp in seconds; timestamp with
        a leap second; timestamp at 24 o'clock; timestamp on no day; timestamp in the year 0;
        timestamp before the year 1 in UTC; timestamp in the year 10,000 in UTC; timestamp in
        other digits than ASCII's; first and last moment; timestamp with another zone; no data;
        data that is nothing; data in an array; no Post's id; empty Post's id; Post's id that is
        a number; longest Post's id; Post's id too long; Post's id with NUL; Post's id with half
        a surrogate pair; no title; title that is nothing; title that is true; longest title;
        title too long; title with NUL; title with half a surrogate pair; title with a whole
        surrogate pair; no text; text that is a number; categories that are no list; tag that is
        no text; tag of blanks; tag with NUL; most names; too many names; longest name, composed
        and trimmed; name too long; name of combining marks; names that are equal when composed
        and trimmed; several faults; no lists and no texts; unknown fields; unknown fields with
        strange names; deletion with the id alone; deletion with fields that are wrong; blanks
        between all
    """,
    "Size and slowness": """
        as large as may be; one byte too large; said to be too large; said to be immense; as
        large as may be, in chunks; one byte too large, in chunks; immense chunk; GET with a
        large body; too large and unsigned; body is asked for before it is sent; too large body
        is not asked for; body that nobody wants is not asked for; other expectation; body that
        stops; body that never begins; body that drips; chunk that drips; chunks that drip; size
        of a chunk that drips; trailers that drip; request line that stops; headers that stop;
        header that drips; headers that drip; connection without a word; body cut off; chunk cut
        off; last chunk cut off; no last chunk; headers cut off; whole, and then hung up; two,
        and then hung up; target too long; target without an end; header too long; too many
        headers; headers too large together
    """,
    "Framing": """
        length with zeros before it; no length; no length, and yet a body; length too short;
        length too long; empty length; negative length; length with a sign; length with a
        fraction; length in hexadecimal digits; length with an underscore; length in
        superscript; length of 5,000 digits; lengths in a list; two equal lengths; two lengths
        that differ; length in words with an underscore; in one chunk; in chunks with all that
        may be; coding in other letters; id in the trailers; length and chunks; chunks and
        length, smuggling; coding twice; coding twice in a list; coding and then none; coding
        that is none; coding that nobody knows; compressed in transfer; no coding named; coding
        that is none before chunks; empty coding before chunks; compressed in transfer, in two
        headers; coding in quotes; coding with a parameter; coding behind a vertical tab; coding
        with an underscore; coding in HTTP/1.0; blank before the colon; tab before the colon;
        folded header; folded first header; bare LF behind the request line; bare LF in a
        header; bare LF behind the headers; bare CR in a header; NUL in a header; NUL in a
        header's name; header without a name; header without a colon; header whose name is not
        ASCII; no Host; two Hosts; two content types; two schemes; scheme in other headers; path
        in a header; chunk's size with a sign; negative size of a chunk; chunk's size with 0x;
        chunk's size with an underscore; blank before a chunk's size; blank behind a chunk's
        size; chunk's size that is none; no size of a chunk; bare LF behind a chunk's size; bare
        LF behind a chunk; chunk longer than its size; chunk shorter than its size; extension
        without a name; extension with a bare CR; extension without an end; text behind the last
        chunk; length in the trailers; folded trailer; trailers too large; two requests at once;
        three requests at once, the second unsigned; request behind one in chunks; request
        behind one that is refused; request behind one that closes; request as a body; request
        as a body that nobody reads; request as a chunk of a GET; empty line before; address
        with a host; address with the host of another; address with a fragment; address without
        a slash before it; asterisk as the address; address with a blank; address with NUL;
        address that is not ASCII; two blanks in the request line; method in small letters; no
        method; HTTP/1.0; HTTP/1.0, kept open; HTTP/1.0 with an expectation; HTTP/1.2; HTTP/0.9;
        HTTP/2; preface of HTTP/2; version that is none; TLS
    """,
}
