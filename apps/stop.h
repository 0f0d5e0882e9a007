// Ctrl-C: work that has something to keep ends at the next good place.
#pragma once

namespace apps {

/// The first Ctrl-C (or SIGTERM) from now on asks the running work to end, see stop_requested(); the second ends the
/// program at once, without half-written files.
void stop_on_signals();
/// Whether there was such a signal.
bool stop_requested();

}  // namespace apps
