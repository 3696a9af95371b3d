"""Which devices are connected: at most one session a device, the newest."""

from collections.abc import Iterator

from chatd.session import Session

_NONE: tuple[Session, ...] = ()


class Registry:
    """Live sessions by user and by device."""

    def __init__(self) -> None:
        self._by_user: dict[int, tuple[Session, ...]] = {}
        self._by_device: dict[int, Session] = {}

    def __len__(self) -> int:
        return len(self._by_device)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._by_device.values()))

    def of_user(self, user_id: int) -> tuple[Session, ...]:
        """Return a user's live sessions."""
        return self._by_user.get(user_id, _NONE)

    def of_device(self, device_id: int) -> Session | None:
        """Return a device's live session."""
        return self._by_device.get(device_id)

    def add(self, session: Session) -> Session | None:
        """Enter a session; return the older one of the same device, which is now out."""
        device = session.device
        older = self._by_device.get(device.id)
        if older is not None:
            self.remove(older)
        self._by_device[device.id] = session
        self._by_user[device.user.id] = (*self.of_user(device.user.id), session)
        return older

    def remove(self, session: Session) -> None:
        """Take a session out, if it is still in."""
        device = session.device
        if self._by_device.get(device.id) is not session:
            return
        del self._by_device[device.id]
        rest = tuple(other for other in self.of_user(device.user.id) if other is not session)
        if rest:
            self._by_user[device.user.id] = rest
        else:
            del self._by_user[device.user.id]
