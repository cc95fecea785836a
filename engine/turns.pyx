"""Turns: all that waits when the engine is free, as pieces of work.

    turn    | order | order | order | request | order | order |
            '------ piece of 3 -----'- piece -'-- piece of 2 -'

Requests to route one order each are, one after another, one request to route several; and so
with the answers. So the messages of a run of them are cut out as one piece, and the answer to it is
cut up.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython cimport no_gc_clear
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memcpy

from typing import NamedTuple

from fendan.engine.protocol cimport (
    ESCAPE_BYTES,
    MOST_STATUS,
    PREFIX_BYTES,
    base64_encoded,
    first_order_end,
    percent_encoded,
    put_prefix,
)
from fendan.engine.queue cimport (
    FATE_ANSWERED,
    FATE_ENDED,
    FATE_WAITING,
    block_drop,
    queue_hand_back,
    queue_wait,
)
from fendan.engine.streams cimport bytes_reserve


class Ending(NamedTuple):
    """How a call ends: a gRPC status, words for people, and a google.rpc.Status or b""."""

    status: int
    message: str
    details: bytes


cdef uint8_t put_ending(ending, Bytes* into, uint32_t* size, uint32_t* details_size) except? 255:
    """Append the texts of an ending as they are sent: its message, then its details; its status.

    Raises ValueError where there is no such status; then nothing is appended.
    """
    cdef bytes message = ending[1].encode(), details = ending[2]
    if not 0 <= ending[0] <= MOST_STATUS:
        raise ValueError(f"{ending[0]} is no gRPC status")
    if not bytes_reserve(into, ESCAPE_BYTES * len(message) + 2 * len(details) + 4):
        raise MemoryError
    size[0] = <uint32_t>percent_encoded(message, len(message), into.data + into.size)
    into.size += size[0]
    details_size[0] = <uint32_t>base64_encoded(details, len(details), into.data + into.size)
    into.size += details_size[0]
    return ending[0]


cdef object take(Queue* queue, object owner):
    cdef Turn turn
    cdef Block* block
    cdef int32_t left
    while True:
        with nogil:
            block = queue_wait(queue)
            left = 0
            if block != NULL:
                left = block_drop(block)
                if not left:
                    queue_hand_back(queue, block)
        if block == NULL:
            return None
        if left:
            break
    turn = Turn.__new__(Turn)
    turn.queue, turn.owner, turn.block = queue, owner, block
    return turn


# -- TURNS -------------------------------------------------------------------------------------

@no_gc_clear  # its owner must be there when it gives its block back
cdef class Turn:
    """The messages that are worked on together, as pieces in the order of their arrival."""

    def __init__(self):
        raise TypeError("turns are taken from a door")

    def __dealloc__(self):
        if self.block != NULL:
            queue_hand_back(self.queue, self.block)

    def __iter__(self):
        """The pieces that have no answer yet: runs of plain requests to route, and each other
        message by itself.
        """
        cdef int32_t first = 0, past, count
        cdef Entry* entries
        cdef Piece piece
        if self.block == NULL:
            raise ValueError("this turn was handed back before")
        entries = self.block.entries
        pieces = []  # none is kept here: a turn that knew them would wait for the garbage collector
        while first < self.block.count:
            if entries[first].fate != FATE_WAITING:
                first += 1
                continue
            past, count = first + 1, 1
            while entries[first].is_plain and past < self.block.count:
                if entries[past].fate == FATE_WAITING:
                    if not entries[past].is_plain:
                        break
                    count += 1
                past += 1
            piece = Piece.__new__(Piece)
            piece.turn, piece.first, piece.past, piece.count = self, first, past, count
            pieces.append(piece)
            first = past
        return iter(pieces)

    @property
    def waited_s(self):
        """How long the first of them waited for the engine, in seconds."""
        if self.block == NULL:
            raise ValueError("this turn was handed back before")
        return max(0, self.block.taken_ns - self.block.first_ns) * 1e-9

    cdef int hand_back(self) except -1:
        cdef Block* block = self.block
        if block == NULL:
            raise ValueError("this turn was handed back before")
        self.block = NULL
        with nogil:
            queue_hand_back(self.queue, block)
        return 0


cdef class Piece:
    """One message; or the messages of `count` calls that route one order each, as one.

    It is answered or ended once, before its turn is handed back; a piece that is neither is ended
    as an internal error.
    """

    def __init__(self):
        raise TypeError("pieces are parts of turns")

    cdef Entry* entry(self) except NULL:
        """The first one."""
        if self.turn.block == NULL:
            raise ValueError("this turn was handed back before")
        return &self.turn.block.entries[self.first]

    @property
    def method(self):
        """The index of the method that is called."""
        return self.entry().method

    @property
    def caller(self):
        """The index of the token of the first call; 0 where there are no tokens."""
        return self.entry().caller

    @property
    def is_allowed(self):
        """Whether the caller may call this method; if not, the message has not been read."""
        return self.entry().is_allowed

    @property
    def data(self):
        """The message. Above a count of 1, a BatchRouteRequest."""
        cdef Entry* entry = self.entry()
        cdef const uint8_t* messages = self.turn.block.messages.data
        cdef Entry* last = entry + (self.past - self.first - 1)
        cdef int64_t size = 0, at = 0
        cdef int32_t number
        if entry.owned != NULL:
            return PyBytes_FromStringAndSize(<char*>entry.owned + entry.at, entry.size)
        for number in range(self.past - self.first):
            if entry[number].fate == FATE_WAITING:
                size += entry[number].size
        if last.at + last.size - entry.at == size:  # nothing between them was dropped
            return PyBytes_FromStringAndSize(<const char*>messages + entry.at, size)
        data = PyBytes_FromStringAndSize(NULL, size)
        for number in range(self.past - self.first):
            if entry[number].fate == FATE_WAITING:
                memcpy(PyBytes_AS_STRING(data) + at, messages + entry[number].at,
                       entry[number].size)
                at += entry[number].size
        return data

    def callers(self):
        """The index of the token of each call."""
        cdef Entry* entry = self.entry()
        cdef int32_t number
        return [entry[number].caller for number in range(self.past - self.first)
                if entry[number].fate == FATE_WAITING]

    def halves(self):
        """Two pieces of it, the first one first.

        Raises ValueError for one that has no halves.
        """
        cdef Entry* entry = self.entry()
        cdef Piece first, second
        cdef int32_t number, count = 0
        if self.count < 2:
            raise ValueError("a piece of one message has no halves")
        number = self.first
        while count < self.count // 2:
            count += entry[number - self.first].fate == FATE_WAITING
            number += 1
        while entry[number - self.first].fate != FATE_WAITING:
            number += 1
        first, second = Piece.__new__(Piece), Piece.__new__(Piece)
        first.turn = second.turn = self.turn
        first.first, first.past, first.count = self.first, number, count
        second.first, second.past, second.count = number, self.past, self.count - count
        return first, second

    def answer(self, bytes data not None):
        """Answer with this message. Above a count of 1, a BatchRouteResponse of as many decisions.

        Raises ValueError where it is not, or the piece has been answered; then nothing has changed.
        """
        cdef Entry* entry = self.entry()
        cdef const uint8_t* at = data
        cdef int64_t size = len(data), before
        cdef int32_t number, others
        cdef Bytes* answers = &self.turn.block.answers
        if entry.fate != FATE_WAITING:
            raise ValueError("this piece has its answer")
        if size >= 1 << 32:
            raise ValueError("an answer of 4 GiB or more")
        if not bytes_reserve(answers, size + <int64_t>PREFIX_BYTES * self.count):
            raise MemoryError
        if self.count == 1:
            give(answers, entry, at, size)
            return
        before = answers.size
        with nogil:
            number = cut(answers, entry, self.past - self.first, at, at + size)
            if number != self.count:
                answers.size = before
        if number != self.count:
            for others in range(self.past - self.first):
                if entry[others].fate == FATE_ANSWERED and entry[others].answer_at >= before:
                    entry[others].fate = FATE_WAITING
            raise ValueError(f"no {self.count} decisions and nothing else")

    def end(self, ending not None):
        """End the call with this status; a piece of one message only.

        Raises ValueError otherwise, or where the piece has been answered.
        """
        cdef Entry* entry = self.entry()
        cdef Bytes* answers = &self.turn.block.answers
        cdef int64_t before = answers.size
        if self.count != 1 or entry.fate != FATE_WAITING:
            raise ValueError("only a piece of one message, not answered yet, can be ended")
        entry.status = put_ending(ending, answers, &entry.answer_size, &entry.details_size)
        entry.fate, entry.answer_at = FATE_ENDED, before


cdef inline void give(
        Bytes* answers, Entry* entry, const uint8_t* data, int64_t size) noexcept nogil:
    """Write an answer with its prefix, for which there is room."""
    cdef uint8_t* into = answers.data + answers.size
    put_prefix(into, <uint32_t>size)
    if size:
        memcpy(into + PREFIX_BYTES, data, size)
    entry.answer_at, entry.answer_size = answers.size, <uint32_t>size + PREFIX_BYTES
    entry.fate = FATE_ANSWERED
    answers.size += entry.answer_size


cdef int32_t cut(
        Bytes* answers, Entry* entries, int32_t count, const uint8_t* at,
        const uint8_t* end) noexcept nogil:
    """Give each entry that waits one decision; how many have one, or -1: there is more or less."""
    cdef const uint8_t* next
    cdef int32_t number, given = 0
    for number in range(count):
        if entries[number].fate != FATE_WAITING:
            continue
        next = first_order_end(at, end)
        if next == NULL:
            return -1
        give(answers, &entries[number], at, next - at)
        at = next
        given += 1
    return given if at == end else -1
