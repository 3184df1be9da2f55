#!/usr/bin/env python3
"""Reads Tenure's billing events from Kafka and prints a line for each: a billing exporter without a bill.

    pip install -r examples/requirements.txt
    python3 examples/billing_consumer.py --brokers 127.0.0.1:7103 --ledger billing.ledger

The README beside it says what every consumer has to do, in whatever language.
"""

import argparse
import json
import os
import sys
import time

from confluent_kafka import Consumer, KafkaError, KafkaException

# Events that are processed between two commits of offsets, at most.
BATCH = 500
WAIT_SECONDS = 0.2


class NoBillingEvent(Exception):
    """A record that is none of Tenure's. To go on would be to lose money: stop, and have a look."""


class BillingEvent:
    """A CloudEvent 1.0 in Kafka's binary mode: attributes in headers, data in the value."""

    def __init__(self, message):
        headers = {name: value.decode() for name, value in message.headers() or [] if value is not None}
        try:
            if headers["ce_specversion"] != "1.0":
                raise ValueError("a CloudEvent of version " + headers["ce_specversion"])
            # The same whenever this event is sent: what to know it by.
            self.id = headers["ce_id"]
            self.type = headers["ce_type"]
            self.tenant = headers["ce_subject"]
            # Where it stands in Tenure's log; it grows with time.
            self.position = int(headers["ce_sequence"])
            self.time = headers["ce_time"]
            # The details: reason, counts, period ... This example bills nothing.
            self.data = json.loads(message.value())
        except (KeyError, TypeError, ValueError) as error:
            place = f"partition {message.partition()}, offset {message.offset()}"
            raise NoBillingEvent(f"{place} is no billing event: {error!r}") from error

    def line(self):
        return f"{self.type} {self.tenant} {self.position} {self.time}"


class Ledger:
    """What is processed already, by event id: a line for each event, or only memory without a file.

    Kafka delivers an event again when the consumer dies between processing it and committing its offset; whoever bills
    keeps the ids with the bills, in one transaction. Here a file is both.
    """

    def __init__(self, path):
        self.ids = set()
        self.file = None
        if path is not None:
            self.file = open(path, "a+b")
            self.file.seek(0)
            text = self.file.read()
            # A line that a crash cut off was never entered: its event comes again.
            whole = text.rfind(b"\n") + 1
            self.file.truncate(whole)
            self.ids.update(line.split(b" ")[0].decode() for line in text[:whole].splitlines())

    def enter(self, event):
        """Enters an event; False when it is there already."""
        if event.id in self.ids:
            return False
        if self.file is not None:
            self.file.write(f"{event.id} {event.line()}\n".encode())
        self.ids.add(event.id)
        return True

    def sync(self):
        """Returns when everything that was entered is on disk."""
        if self.file is not None:
            self.file.flush()
            os.fsync(self.file.fileno())


def arguments():
    parser = argparse.ArgumentParser(description="Prints Tenure's billing events: type, tenant, position, time.")
    parser.add_argument("--brokers", default="127.0.0.1:7103")
    parser.add_argument("--topic", default="tenure.billing.v1")
    parser.add_argument("--group", default="billing-consumer", help="consumers of one group share the work")
    parser.add_argument("--ledger", help="a file with what is processed; with it no event is processed twice")
    parser.add_argument("--until-idle", type=float, metavar="SECONDS", help="end after so long without an event")
    parser.add_argument("--property", action="append", default=[], metavar="NAME=VALUE", help="of librdkafka")
    return parser.parse_args()


def commit(consumer):
    """Says that everything up to here is processed. What could not be said comes again, and the ledger knows it."""
    try:
        consumer.commit(asynchronous=False)
    except KafkaException as error:
        if error.args[0].code() != KafkaError._NO_OFFSET:
            print(f"{error}; these events will come again", file=sys.stderr)


def main():
    options = arguments()
    ledger = Ledger(options.ledger)
    settings = {
        "bootstrap.servers": options.brokers,
        "group.id": options.group,
        # What an aborted transaction wrote never was; a new group begins with the first event there is.
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        # An offset is committed when its event is processed, never before.
        "enable.auto.commit": False,
        # What stands before a broker that starts (a published port, a proxy) accepts and hangs up: ask once a second.
        "reconnect.backoff.ms": 1000,
    }
    settings.update(text.split("=", 1) for text in options.property)
    consumer = Consumer(settings)
    consumer.subscribe([options.topic])
    last_event = None
    try:
        while True:
            batch = consumer.consume(BATCH, WAIT_SECONDS)
            for message in batch:
                if message.error() is not None:
                    # librdkafka tries again by itself, except after these.
                    if message.error().fatal():
                        raise KafkaException(message.error())
                    print(message.error().str(), file=sys.stderr)
                    continue
                event = BillingEvent(message)
                if ledger.enter(event):
                    print(event.line(), flush=True)
                last_event = time.monotonic()
            if batch:
                ledger.sync()
                commit(consumer)
            # The wait begins when the group has given us something to wait for.
            if last_event is None and consumer.assignment():
                last_event = time.monotonic()
            if not batch and options.until_idle is not None and last_event is not None:
                if time.monotonic() - last_event >= options.until_idle:
                    return
    finally:
        # Leaves the group, so that others take over at once.
        consumer.close()


if __name__ == "__main__":
    try:
        main()
    except NoBillingEvent as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        pass
