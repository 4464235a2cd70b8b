// COPY ... FROM STDIN into a sharded table: takes the client's data as it comes and gives each shard its own rows, byte
// for byte as they stood. Pure; what a shard gets is appended to its part, and taken from there by whoever sends it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocol/errors.hpp"
#include "router/copy/binary_decoder.hpp"
#include "router/copy/line_map.hpp"
#include "router/copy/text_decoder.hpp"
#include "router/plan/claims.hpp"
#include "router/plan/route.hpp"

namespace pgbraid::router {

class value_map;  // value_map.hpp

/// A column of the table's key.
struct copied_column {
  std::string name;
  std::size_t place = 0;  ///< among text_shape::keys
  oid type = 0;
  std::int32_t modifier = -1;
};

/// A column that is not in the client's list: a sequence gives its values.
struct numbered_column {
  std::string name;
  std::string draws;  ///< the expression that does
  oid type = 0;
};

/// What a plan knows of such a COPY.
struct copy_layout {
  text_shape shape;
  std::string table;                          ///< for messages
  std::string relation;                       ///< the table's bare name, as servers tell it
  std::vector<copied_column> keys;            ///< in the key's order
  std::shared_ptr<const value_map> values{};  ///< of a key by ranges or a list; null: by buckets
  // See copy_numbering.hpp. The places of keys are those in rows with their numbers.
  std::vector<numbered_column> numbered{};    ///< stand behind the client's columns, in this order
  std::size_t given = 0;                      ///< with numbered: how many values the client's rows have
  std::string schema{};                       ///< the table's, bare
  std::vector<claimed_values> claimed{};      ///< columns that are unique over all shards; see plan/claims.hpp
  std::vector<std::size_t> claimed_places{};  ///< where they stand among text_shape::keys
};

/// Values of such columns in the rows so far.
struct copied_claims {
  std::vector<claimed_value> values;
  std::vector<shard_index> homes;  ///< the shard of each row that has one
  std::size_t bytes = 0;           ///< of the two
  std::size_t text_bytes = 0;      ///< of the texts alone
};

/// Why the rows that still come cannot be taken.
struct copy_stop {
  std::size_t part = 0;          ///< which has been given the row at fault
  bool ended = false;            ///< this part's data shall end there as if the client had ended it
  protocol::error_report error;  ///< for the client, unless that part's server has one of its own
};

/// runs on: any thread.
class copy_splitter {
 public:
  struct part {
    shard_index shard = 0;
    std::string bytes;  ///< for its server, not yet sent
    line_map lines;
    bool started = false;  ///< has a line, so that its server knows how lines end
  };

  /// `literals` must outlive it. `shards`: those that own rows. `max_row`: bytes of a row that are kept until
  /// its key is known.
  copy_splitter(std::shared_ptr<const copy_layout> layout, std::shared_ptr<const topology> map,
                const literal_context& literals, const std::vector<shard_index>& shards, std::size_t max_row);

  /// The next bytes of the client's data.
  void take(std::string_view data);
  /// The client has ended its data.
  void finish();
  /// The client has given its data up.
  void fail();

  [[nodiscard]] std::vector<part>& parts() noexcept { return parts_; }
  [[nodiscard]] const std::optional<copy_stop>& stopped() const noexcept { return stop_; }
  /// With fail(): the part that has been given what there is of a row.
  [[nodiscard]] std::size_t last_part() const noexcept { return owner_; }
  /// What a server must be sent so that it looks at its last row although the data does not end.
  [[nodiscard]] std::string_view nudge() const;
  [[nodiscard]] const copy_layout& layout() const noexcept { return *layout_; }
  [[nodiscard]] copied_claims& claims() noexcept { return claims_; }
  /// The number of the line that is being read, as a server would tell it.
  [[nodiscard]] std::uint64_t line() const;

 private:
  static constexpr std::size_t nobody = static_cast<std::size_t>(-1);

  void on_event(copy_event what);
  void on_key();
  void give(std::string_view bytes);
  void row_over();
  void send_pending();
  void note_line(part& p, std::uint64_t whole);
  void stop(bool ended, protocol::error_report error);
  /// Nothing, with doomed_ set, for a key that is not there, that no shard owns or that cannot be read.
  [[nodiscard]] std::optional<shard_index> shard_of(const std::vector<copy_key>& key);
  [[nodiscard]] bool same_bytes(oid type, const std::string& value) const;
  void claim(const std::vector<copy_key>& given);
  [[nodiscard]] std::size_t started_part() const;

  std::shared_ptr<const copy_layout> layout_;
  std::shared_ptr<const topology> map_;
  const literal_context& literals_;
  std::size_t max_row_;
  std::variant<text_decoder, binary_decoder> decoder_;
  std::vector<part> parts_;
  bool head_ = false;  ///< what is being read is for all
  bool over_ = false;
  std::size_t owner_ = nobody;                    ///< part of the row under way
  bool row_sent_ = false;                         ///< some of it has been given to its part, which had no row before
  std::string pending_;                           ///< of a row that no part has been given yet
  std::optional<protocol::error_report> doomed_;  ///< of the row under way
  std::optional<copy_stop> stop_;
  copied_claims claims_;
};

}  // namespace pgbraid::router
