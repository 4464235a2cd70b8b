// Data of COPY FROM whose list of columns leaves some to sequences: holds rows back until their numbers are there, and
// puts these behind their last values. What comes out is data for the client's columns and those. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocol/errors.hpp"
#include "router/copy/copy_splitter.hpp"

namespace pgbraid::router {

/// runs on: any thread.
class copy_numbering {
 public:
  /// `max_row`: bytes of a row that are kept until it is whole.
  copy_numbering(std::shared_ptr<const copy_layout> layout, std::size_t max_row);

  /// The next bytes of the client's data.
  void take(std::string_view data);
  /// The client has ended its data.
  void finish();
  /// The client has given its data up.
  void fail();

  /// Rows that wait for numbers.
  [[nodiscard]] std::size_t wanted() const noexcept { return wanted_; }
  /// Where the row stands that is the `index`-th of them, which there must be.
  struct place {
    std::uint64_t line = 0;
    std::string shown;  ///< text and csv: the row, as a server shows it in an error's context
  };
  [[nodiscard]] place place_of(std::size_t index) const;
  /// Numbers, or nothing for NULL, for as many of these rows as there are, row by row, in the order of the layout's
  /// columns. Appends to `out` all data up to the next row without one. False: a value that cannot be written in this
  /// format.
  [[nodiscard]] bool supply(std::string& out, const std::vector<std::optional<std::string>>& numbers);

  /// The header that has been put out, as it stands in front of what every server gets, and as the client has sent it;
  /// its line. Empty before it is whole, or where there is none.
  [[nodiscard]] const std::string& head() const noexcept { return head_; }
  [[nodiscard]] const std::string& clients_head() const noexcept { return clients_head_; }
  [[nodiscard]] std::uint64_t head_line() const noexcept { return head_line_; }
  /// What keeps the rows that still come from being taken, when all in front of it have been put out.
  [[nodiscard]] const std::optional<protocol::error_report>& refused() const noexcept { return refused_; }

  /// The client's line `number` as a server shows it in an error's context, without what has been put behind it; as it
  /// is where that cannot be told.
  [[nodiscard]] std::string_view without_numbers(std::string_view shown, std::uint64_t number) const;

 private:
  enum class kind : std::uint8_t { plain, head, row };
  struct piece {
    kind is = kind::plain;
    std::string bytes;
    std::size_t tail = 0;  ///< so many of them stand behind the last value
    std::uint64_t line = 0;
  };

  void on_event(copy_event what);
  void row_over();
  void refuse(protocol::error_report error);
  /// What is under way becomes a piece.
  void keep(kind is, std::size_t tail = 0);
  [[nodiscard]] bool is_binary() const noexcept { return layout_->shape.format.form == copy_format::kind::binary; }
  [[nodiscard]] std::uint64_t line() const;
  [[nodiscard]] bool append_value(std::string& out, const std::optional<std::string>& value, oid type) const;

  std::shared_ptr<const copy_layout> layout_;
  std::size_t max_row_;
  std::variant<text_decoder, binary_decoder> decoder_;
  std::deque<piece> pieces_;
  std::string under_way_;
  std::size_t wanted_ = 0;
  bool over_ = false;  ///< nothing that still comes is looked at
  std::string head_, clients_head_;
  std::uint64_t head_line_ = 0;
  std::uint64_t plain_from_ = ~std::uint64_t{0};  ///< lines from this one on are put out as they stood
  std::optional<protocol::error_report> refused_;
};

}  // namespace pgbraid::router
