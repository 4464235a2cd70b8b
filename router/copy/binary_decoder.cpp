#include "router/copy/binary_decoder.hpp"

#include <algorithm>
#include <utility>

namespace pgbraid::router {
namespace {

constexpr std::size_t count_size = 2, length_size = 4;
constexpr std::size_t extension_at = 15;  // behind the signature and the flags

}  // namespace

void binary_decoder::expect(state next, std::size_t bytes) {
  state_ = next;
  word_size_ = bytes;
  word_has_ = 0;
}

std::int32_t binary_decoder::number(std::size_t at, std::size_t size) const {
  std::uint32_t value = word_[at] < 0 ? ~std::uint32_t{0} : 0;
  for (std::size_t i = 0; i < size; ++i) value = value << 8 | static_cast<unsigned char>(word_[at + i]);
  return static_cast<std::int32_t>(value);
}

copy_event binary_decoder::value_over() {
  const bool is_key = in_key() && ++part_ == keys_at_.size();
  if (is_key) keys_bytes_ = 0;
  ++value_;
  if (value_ < values_) {
    expect(state::length, length_size);
    return is_key ? copy_event::key : copy_event::more;
  }
  expect(state::count, count_size);
  if (!is_key) return copy_event::row;
  row_due_ = true;
  return copy_event::key;
}

// A number has been read.
copy_event binary_decoder::word_over() {
  switch (state_) {
    case state::signature: {
      const std::int32_t extension = number(extension_at, length_size);
      if (extension < 0) break;
      left_ = static_cast<std::uint32_t>(extension);
      if (left_ > 0) {
        expect(state::extension, 0);
        return copy_event::more;
      }
      expect(state::count, count_size);
      return copy_event::head;
    }
    case state::count: {
      const std::int32_t count = number(0, count_size);
      if (count == -1) {
        state_ = state::over;
        return copy_event::head;
      }
      if (count <= 0 || static_cast<std::size_t>(count) <= keys_at_.back()) break;
      values_ = static_cast<std::size_t>(count);
      value_ = 0;
      part_ = keys_bytes_ = 0;
      keys_.assign(keys_at_.size(), {});
      expect(state::length, length_size);
      return copy_event::more;
    }
    case state::length: {
      const std::int32_t length = number(0, length_size);
      if (length < -1) break;
      if (in_key()) keys_[part_].is = length < 0 ? copy_key::kind::null : copy_key::kind::value;
      if (length <= 0) return value_over();
      left_ = static_cast<std::uint32_t>(length);
      expect(state::value, 0);
      return copy_event::more;
    }
    default:
      break;
  }
  state_ = state::failed;
  return copy_event::broken;
}

copy_found binary_decoder::take(std::string_view input) {
  if (std::exchange(row_due_, false)) return {copy_event::row, 0};
  std::size_t at = 0;
  copy_event found = copy_event::more;
  while (found == copy_event::more && at < input.size()) {
    switch (state_) {
      case state::signature:
      case state::count:
      case state::length: {
        if (state_ == state::count && word_has_ == 0) ++rows_;
        const std::size_t bytes = std::min(word_size_ - word_has_, input.size() - at);
        input.copy(word_.data() + word_has_, bytes, at);
        word_has_ += bytes;
        at += bytes;
        if (word_has_ == word_size_) found = word_over();
        break;
      }
      case state::extension:
      case state::value: {
        const std::size_t bytes = std::min<std::size_t>(left_, input.size() - at);
        if (state_ == state::value && in_key()) {
          keys_[part_].value.append(input.substr(at, bytes));
          keys_bytes_ += bytes;
        }
        at += bytes;
        left_ -= static_cast<std::uint32_t>(bytes);
        if (left_ > 0) break;
        if (state_ == state::value) {
          found = value_over();
        } else {
          expect(state::count, count_size);
          found = copy_event::head;
        }
        break;
      }
      case state::over:
      case state::failed:
        // No byte may follow the trailer.
        ++at;
        state_ = state::failed;
        found = copy_event::broken;
        break;
    }
  }
  return {found, at};
}

copy_event binary_decoder::finish() {
  if (std::exchange(row_due_, false)) return copy_event::row;
  // An end in front of a row, or within its first number, is one without a trailer.
  if (state_ == state::count || state_ == state::over) return copy_event::more;
  state_ = state::over;
  return copy_event::broken;
}

}  // namespace pgbraid::router
