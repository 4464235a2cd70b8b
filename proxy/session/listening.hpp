// What a session listens to by way of a server connection that it shares with others: channels in force, what the open
// transaction changes about them, and notifications that wait for its end. Source: PostgreSQL's async.c.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pgbraid::proxy {

/// Present from a session's first LISTEN until it listens to nothing.
struct listening_state {
  /// LISTEN or UNLISTEN of the open transaction.
  struct change {
    bool listen = false;
    std::string channel;  ///< "": UNLISTEN *
  };
  /// What the session waits for while the listening backend catches up.
  enum class wait : std::uint8_t {
    nothing,
    channels,  ///< those of the transaction that is about to commit are to be listened to first
    voice,     ///< what others have notified by way of the branch's server process must not pass for its own
    end        ///< the end of a transaction is told when what it has notified itself has been heard
  };

  std::string encoding;               ///< client_encoding as it was at the first LISTEN; "": the servers' default
  std::vector<std::string> channels;  ///< in force
  std::vector<change> changes;        ///< of the open transaction, in order
  std::vector<std::string> joining;   ///< to be in force with the commit under way
  bool joined = false;                ///< what is notified from now on counts for `joining` too
  bool fresh = false;                 ///< what was notified before the cycle's last answer has been heard
  bool stale = false;                 ///< the shared backend must hear of what has changed
  wait waits = wait::nothing;
  std::string held;  ///< NotificationResponse messages that wait for the end of the transaction
  std::string lost;  ///< why nobody listens any more, until that can be told

  [[nodiscard]] bool hears(std::string_view channel) const noexcept;
  /// The channels after all changes.
  [[nodiscard]] std::vector<std::string> after_changes() const;
  /// The changes are in force, or forgotten. What was heard on channels that are not in force then is dropped.
  void end(bool committed);
  /// Nothing is left to be remembered.
  [[nodiscard]] bool over() const noexcept { return channels.empty() && changes.empty() && !stale && lost.empty(); }
};

/// Whether a channel may be listened to on another connection than the session's own: its name must be read alike by
/// every server and grammar. Not where it may have been cut to the length of an identifier, or depends on an encoding.
[[nodiscard]] bool is_plain_channel(std::string_view name) noexcept;

/// The statement with the channels' names in place of its call of pg_listening_channels(); "" where that cannot be done
/// so that its result looks the same.
[[nodiscard]] std::string with_channels(std::string_view sql, const std::vector<std::string>& channels);

/// As an identifier in a statement.
[[nodiscard]] std::string quoted_channel(std::string_view name);

/// Two names of one encoding give the same text: PostgreSQL looks at letters and digits only.
[[nodiscard]] std::string encoding_key(std::string_view name);

}  // namespace pgbraid::proxy
