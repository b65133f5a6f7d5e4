package api

import (
	"net/netip"
	"sync"
	"time"
)

const (
	failuresAtOnce  = 10              // logins that may fail in a row, for each address
	failureForgiven = 2 * time.Second // and how long it takes until one more may
	addressesKept   = 4096
)

// throttle slows down guessing: it counts failed logins by address.
type throttle struct {
	mu    sync.Mutex // held for debts
	debts map[netip.Prefix]time.Time
}

// network is what counts as one address: an IPv6 customer has a whole /64.
func network(host string) netip.Prefix {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	ip = ip.Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // bits fit, as they come from ip
	return p
}

// wait is how long a login from host must wait; 0: not at all.
func (t *throttle) wait(host string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	// A debt is the time at which all failures are forgiven.
	debt := t.debts[network(host)]
	if debt.Before(now) {
		return 0 // the zero time too, from which Sub would saturate
	}
	return max(0, debt.Sub(now)-(failuresAtOnce-1)*failureForgiven)
}

// failed counts one failure.
func (t *throttle) failed(host string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.debts) >= addressesKept {
		t.forget(now)
	}
	key := network(host)
	debt := t.debts[key]
	if debt.Before(now) {
		debt = now
	}
	t.debts[key] = debt.Add(failureForgiven)
}

// forget drops what is forgiven, or everything when that is not enough: memory
// is bounded before guessing is.
func (t *throttle) forget(now time.Time) {
	for key, debt := range t.debts {
		if debt.Before(now) {
			delete(t.debts, key)
		}
	}
	if len(t.debts) >= addressesKept {
		clear(t.debts)
	}
}
