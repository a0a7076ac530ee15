"""Walks along the chain, batch by batch: is each one signed, and does it follow the one before? Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from monitor.upkeep.audit.chain import BEFORE_ALL, BEGINNING, AuditKey, ChainHead, HistoryKind, SignedBatch
from monitor.upkeep.audit.chain_report import ChainFinding, ChainProblem


@dataclass(frozen=True, slots=True)
class SignedRange:
    """The rows that a batch speaks for: those with an id above `after`, up to its last one."""

    kind: HistoryKind
    after: int
    batch: SignedBatch

    @property
    def is_checkpoint(self) -> bool:
        return self.batch.pruned_at is not None


class ChainWalk:
    """Takes the batches in order; what a batch says about rows counts only if this key signed it as it is."""

    def __init__(self, key: AuditKey, first: int, covered: Mapping[HistoryKind, int | None]) -> None:
        """`covered` is up to which id the batches before `first` speak for rows; None if that is unknown."""
        self.findings: list[ChainFinding] = []
        self.signed_upto = {kind: BEFORE_ALL if upto is None else upto for kind, upto in covered.items()}
        self._key = key
        self._number = first - 1
        self._covered = dict(covered)
        self._last: SignedBatch | None = None
        self._last_is_ours = False
        self._foreign: list[SignedBatch] = []

    @property
    def newest(self) -> ChainHead | None:
        return None if self._last is None else ChainHead(self._last.id, self._last.signature)

    def step(self, batch: SignedBatch) -> SignedRange | None:
        """The rows to compare with the batch; None if it cannot be believed."""
        if batch.id > self._number + 1:
            self._report_removed(self._number + 1, batch.id - 1)
            self._forget()
        ours = self._is_ours(batch)
        if ours:
            self._compare_link(batch)
        self._number, self._last, self._last_is_ours = max(self._number, batch.id), batch, ours
        return self._range(batch) if ours else None

    def end(self, head: tuple[ChainHead, str, str] | None) -> None:
        """Compare the newest batch with the stored head: its values, its key and its signature."""
        self._report_foreign()
        self.findings += self._of_head(head)

    def _is_ours(self, batch: SignedBatch) -> bool:
        if batch.key_id != self._key.id:
            if self._foreign and self._foreign[-1].key_id != batch.key_id:
                self._report_foreign()
            self._foreign.append(batch)
            self._forget()
            return False
        self._report_foreign()
        if not self._key.made(batch):
            text = f"batch {batch.id} was altered: what it says about rows cannot be believed"
            self.findings.append(ChainFinding(ChainProblem.BATCH_ALTERED, text, batch.id, batch.id))
            self._forget()
            return False
        return True

    def _compare_link(self, batch: SignedBatch) -> None:
        # After a batch that was altered, signed with another key or removed, that is what is reported.
        if self._last is None or not self._last_is_ours or batch.previous == self._last.signature:
            return
        if batch.previous == BEGINNING:
            text = f"the chain begins anew at batch {batch.id}: its head was missing or altered, so batches may be gone"
            self.findings.append(ChainFinding(ChainProblem.BEGUN_ANEW, text, batch.id, batch.id))
        else:
            text = f"batch {batch.id} does not follow batch {self._last.id}, but one that is not there"
            self.findings.append(ChainFinding(ChainProblem.LINK_BROKEN, text, batch.id, batch.id))

    def _range(self, batch: SignedBatch) -> SignedRange | None:
        kind = HistoryKind(batch.kind)
        covered = self._covered[kind]
        self._covered[kind] = batch.last_id
        self.signed_upto[kind] = max(self.signed_upto[kind], batch.last_id)
        if (batch.pruned_at, batch.pruned_signature) != (None, None) and not self._key.made_checkpoint(batch):
            text = f"batch {batch.id} says its rows were pruned, but the service did not sign that"
            extent = (batch.kind, batch.first_id, batch.last_id, batch.row_count)
            finding = ChainFinding(ChainProblem.CHECKPOINT_ALTERED, text, batch.id, batch.id, *extent)
            self.findings.append(finding)
            return None
        return SignedRange(kind, batch.first_id - 1 if covered is None else covered, batch)

    def _forget(self) -> None:
        """What lies between the rows of the batches before and after is unknown."""
        self._covered = dict.fromkeys(self._covered)
        self._last_is_ours = False

    def _report_removed(self, first: int, last: int) -> None:
        text = f"{_named(first, last)} gone: removed, or a backup was restored while the service ran"
        self.findings.append(ChainFinding(ChainProblem.BATCHES_REMOVED, text, first, last))

    def _report_foreign(self) -> None:
        if self._foreign:
            first, last = self._foreign[0], self._foreign[-1]
            whose = f"{_named(first.id, last.id)} signed with another key ({first.key_id})"
            text = f"{whose}, and cannot be verified with this one"
            self.findings.append(ChainFinding(ChainProblem.OTHER_KEY, text, first.id, last.id))
        self._foreign = []

    def _of_head(self, stored: tuple[ChainHead, str, str] | None) -> Iterator[ChainFinding]:
        if stored is None:
            if self._number > 0:
                text = "the record of the newest batch is gone: batches may have been removed at the end"
                yield ChainFinding(ChainProblem.HEAD_MISSING, text)
            return
        head, key_id, signature = stored
        if self._key.made_head(head, signature):
            yield from self._of_signed_head(head)
        elif key_id == self._key.id or self._last is None or self._last.key_id == self._key.id:
            text = "the record of the newest batch was altered: batches may have been removed at the end"
            yield ChainFinding(ChainProblem.HEAD_ALTERED, text)

    def _of_signed_head(self, head: ChainHead) -> Iterator[ChainFinding]:
        if head.batch_id > self._number:
            text = f"{_named(self._number + 1, head.batch_id)} gone, the newest there were, perhaps with their rows"
            yield ChainFinding(ChainProblem.BATCHES_REMOVED, text, self._number + 1, head.batch_id)
        elif head.batch_id < self._number or (self._last_is_ours and head != self.newest):
            text = f"the record of the newest batch is an old one: it names batch {head.batch_id}"
            yield ChainFinding(ChainProblem.HEAD_ALTERED, text, head.batch_id, head.batch_id)


def _named(first: int, last: int) -> str:
    return f"batch {first} is" if first == last else f"batches {first} to {last} are"
