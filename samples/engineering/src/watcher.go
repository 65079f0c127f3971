// Package watcher decides which alarms are active.
package watcher

import (
	"fmt"
	"sync"
	"time"
)

// Direction says on which side of its level an alarm rings.
type Direction int

const (
	Above Direction = iota
	Below
)

// Alarm is a threshold on one gauge, in tenths of a millimetre.
type Alarm struct {
	ID         string
	Level      int32
	Hysteresis int32
	Direction  Direction
	Readings   int // how many in a row it takes
}

// Reading is one level of one gauge.
type Reading struct {
	Serial  uint32
	Time    time.Time
	Level   int32
	Quality uint16
}

const (
	bitSpike = 1 << 0
	bitDry   = 1 << 1
)

// Doubtful readings need a second one that agrees before they count.
func (r Reading) Doubtful() bool { return r.Quality&(bitSpike|bitDry) != 0 }

type state struct {
	active       bool
	inRow        int
	doubtful     int
	acknowledged time.Time
}

// Watcher keeps the state of every alarm of every gauge in memory.
type Watcher struct {
	mu     sync.Mutex
	states map[string]*state
	notify func(alarm Alarm, reading Reading, text string)
}

// New returns a watcher that calls notify, without holding its lock, when an alarm starts or ends.
func New(notify func(Alarm, Reading, string)) *Watcher {
	return &Watcher{states: map[string]*state{}, notify: notify}
}

// See looks at the newest reading of a gauge. Older ones, from a backlog, must not be shown to it.
func (w *Watcher) See(alarm Alarm, reading Reading) {
	w.mu.Lock()
	s := w.states[alarm.ID]
	if s == nil {
		s = &state{}
		w.states[alarm.ID] = s
	}
	if reading.Doubtful() {
		s.doubtful++
		if s.doubtful < 2 {
			w.mu.Unlock()
			return
		}
	}
	s.doubtful = 0
	text := s.step(alarm, reading)
	w.mu.Unlock()
	if text != "" {
		w.notify(alarm, reading, text)
	}
}

func (s *state) step(alarm Alarm, reading Reading) string {
	if s.active {
		if inside(alarm, reading.Level) {
			return ""
		}
		s.active, s.inRow = false, 0
		return fmt.Sprintf("%s is over", alarm.ID)
	}
	if !beyond(alarm, reading.Level) {
		s.inRow = 0
		return ""
	}
	s.inRow++
	if s.inRow < alarm.Readings {
		return ""
	}
	s.active = true
	return fmt.Sprintf("%s: level %.4f m", alarm.ID, float64(reading.Level)/1e4)
}

func beyond(a Alarm, level int32) bool {
	if a.Direction == Above {
		return level > a.Level
	}
	return level < a.Level
}

// inside says whether an active alarm goes on: the level has not come back by the hysteresis.
func inside(a Alarm, level int32) bool {
	if a.Direction == Above {
		return level >= a.Level-a.Hysteresis
	}
	return level <= a.Level+a.Hysteresis
}

// Acknowledge silences an alarm for twelve hours, whatever the level does.
func (w *Watcher) Acknowledge(id string, now time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.states[id]
	if s == nil || !s.active {
		return fmt.Errorf("alarm %q is not active", id)
	}
	s.acknowledged = now.Add(12 * time.Hour)
	return nil
}
