#include "config/yaml_tree.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <unordered_map>
#include <utility>

namespace pgbraid::config::yaml {
namespace {

/// Ends the parse: a limit was passed.
struct too_much {
  position where;
  std::string text;
};

/// yaml-cpp counts lines and bytes from 0; people count lines and characters from 1.
class places {
 public:
  explicit places(std::string_view text) : text_(text) {
    starts_.push_back(0);
    for (std::size_t i = 0; i < text.size(); ++i)
      if (text[i] == '\n') starts_.push_back(i + 1);
  }

  [[nodiscard]] position of(const YAML::Mark& mark) {
    if (mark.is_null() || mark.line < 0 || mark.column < 0) return {};
    const auto line = static_cast<std::size_t>(mark.line), column = static_cast<std::size_t>(mark.column);
    if (line >= starts_.size()) return {mark.line + 1, mark.column + 1};
    if (line != line_ || column < column_) {
      line_ = line;
      column_ = continued_ = 0;
    }
    // Goes on from the place before: a long line costs its length once, not once for each value on it.
    for (const char c : text_.substr(std::min(starts_[line] + column_, text_.size()), column - column_))
      if ((static_cast<unsigned char>(c) & 0xc0) == 0x80) ++continued_;
    column_ = column;
    return {mark.line + 1, static_cast<int>(column - continued_) + 1};
  }

 private:
  std::string_view text_;
  std::vector<std::size_t> starts_;
  std::size_t line_ = 0, column_ = 0;
  std::size_t continued_ = 0;  ///< bytes of line_ before column_ that continue a character
};

class builder final : public YAML::EventHandler {
 public:
  explicit builder(places& where) : where_(where) {}

  std::shared_ptr<node> root;
  std::vector<finding> findings;
  position document_start;

  void OnDocumentStart(const YAML::Mark& mark) override { document_start = where_.of(mark); }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto n = std::make_shared<node>();
    n->where = where_.of(mark);
    add(std::move(n), anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    auto n = std::make_shared<node>();
    n->what = node::kind::scalar;
    n->where = where_.of(mark);
    n->text = value;
    n->quoted = tag == "!";
    refuse_tag(tag, n->where);
    add(std::move(n), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const position at = where_.of(mark);
    const auto known = anchors_.find(anchor);
    if (known == anchors_.end()) throw too_much{at, "an alias stands inside the value that it names"};
    const finished& named = known->second;
    spend(named.nodes, at);
    if (open_.size() + named.height > max_depth) throw_depth(at);
    place(named.value, named.nodes, named.height, at);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    start(node::kind::list, mark, tag, anchor);
  }
  void OnSequenceEnd() override { end(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    start(node::kind::map, mark, tag, anchor);
  }
  void OnMapEnd() override { end(); }

 private:
  struct finished {
    std::shared_ptr<node> value;
    std::size_t nodes = 1;  ///< in it, aliases expanded
    std::size_t height = 1;
  };

  struct pending_key {
    std::string text;
    position where;
    bool usable = true;  ///< false: its value is read and dropped
  };

  struct open_node {
    finished built;
    YAML::anchor_t anchor = 0;
    std::optional<pending_key> key;
    std::unordered_map<std::string, int> lines;  ///< of the keys so far
  };

  [[noreturn]] static void throw_depth(position at) {
    throw too_much{at, fmt::format("values are nested more than {} deep", max_depth)};
  }

  void report(position at, std::string text) { findings.push_back({finding::level::error, at, std::move(text)}); }

  void refuse_tag(const std::string& tag, position at) {
    if (tag.empty() || tag == "?" || tag == "!" || tag.rfind("tag:yaml.org,2002:", 0) == 0) return;
    report(at, fmt::format("the tag {} has no meaning here", tag));
  }

  void spend(std::size_t nodes, position at) {
    nodes_ += nodes;
    if (nodes_ > max_nodes)
      throw too_much{at, fmt::format("more than {} values, aliases counted as often as they stand", max_nodes)};
  }

  void start(node::kind what, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    const position at = where_.of(mark);
    if (open_.size() >= max_depth) throw_depth(at);
    spend(1, at);
    refuse_tag(tag, at);
    open_node opened;
    opened.built.value = std::make_shared<node>();
    opened.built.value->what = what;
    opened.built.value->where = at;
    opened.anchor = anchor;
    open_.push_back(std::move(opened));
  }

  void end() {
    open_node closed = std::move(open_.back());
    open_.pop_back();
    if (closed.anchor != 0) anchors_[closed.anchor] = closed.built;
    const position at = closed.built.value->where;
    place(std::move(closed.built.value), closed.built.nodes, closed.built.height, at);
  }

  void add(std::shared_ptr<node> n, YAML::anchor_t anchor) {
    const position at = n->where;
    spend(1, at);
    if (anchor != 0) anchors_[anchor] = {n, 1, 1};
    place(std::move(n), 1, 1, at);
  }

  void place(std::shared_ptr<node> n, std::size_t nodes, std::size_t height, position at) {
    if (open_.empty()) {
      root = std::move(n);
      return;
    }
    open_node& parent = open_.back();
    parent.built.nodes += nodes;
    parent.built.height = std::max(parent.built.height, height + 1);
    if (parent.built.value->what == node::kind::list)
      parent.built.value->items.push_back(std::move(n));
    else if (!parent.key)
      take_key(parent, *n, at);
    else
      take_value(parent, std::move(n));
  }

  void take_key(open_node& parent, const node& key, position at) {
    if (key.what != node::kind::scalar) {
      report(at, fmt::format("a key must be a text, found {}", spelled(key)));
      parent.key = pending_key{"", at, false};
      return;
    }
    bool usable = true;
    const auto [first, fresh] = parent.lines.emplace(key.text, at.line);
    if (!fresh) {
      report(at, fmt::format("duplicate key \"{}\": first given on line {}", key.text, first->second));
      usable = false;
    } else if (key.text == "<<" && !key.quoted) {
      report(at, "merge keys (<<) are not supported: write the keys out");
      usable = false;
    }
    parent.key = pending_key{key.text, at, usable};
  }

  static void take_value(open_node& parent, std::shared_ptr<node> n) {
    pending_key key = std::move(*parent.key);
    parent.key.reset();
    if (!key.usable) return;
    if (n->what == node::kind::null) n->where = key.where;  // what is left out has no place of its own
    parent.built.value->entries.push_back({std::move(key.text), key.where, std::move(n)});
  }

  places& where_;
  std::vector<open_node> open_;
  std::map<YAML::anchor_t, finished> anchors_;
  std::size_t nodes_ = 0;
};

}  // namespace

const node::entry* node::find(std::string_view key) const noexcept {
  for (const entry& e : entries)
    if (e.key == key) return &e;
  return nullptr;
}

std::string spelled(const node& n) {
  constexpr std::size_t longest = 60;
  switch (n.what) {
    case node::kind::null:
      return "nothing";
    case node::kind::list:
      return "a list";
    case node::kind::map:
      return "a map";
    case node::kind::scalar:
      break;
  }
  if (n.text.size() > longest) return fmt::format("a text of {} bytes", n.text.size());
  return fmt::format("\"{}\"", n.text);
}

tree parse(const std::string& text) {
  tree out;
  const auto fail = [&out](position at, std::string why) {
    out.root = nullptr;
    out.findings.push_back({finding::level::error, at, std::move(why)});
  };
  if (text.size() > max_file_bytes) {
    fail({}, fmt::format("the file is larger than {} MB", max_file_bytes >> 20));
    return out;
  }
  places where(text);
  builder handler(where);
  try {
    // yaml-cpp takes a quote that is never closed for closed at the end of the file if that end is a line's: the rest
    // of the file would silently become one text. Without that line end it says so.
    std::istringstream in(text.substr(0, text.find_last_not_of(" \t\r\n") + 1));
    YAML::Parser parser(in);
    parser.HandleNextDocument(handler);
    out.root = handler.root;
    builder rest(where);
    if (parser.HandleNextDocument(rest)) fail(rest.document_start, "a second document: one topology is one document");
  } catch (const YAML::Exception& e) {
    fail(where.of(e.mark), fmt::format("YAML: {}", e.msg));
  } catch (const too_much& limit) {
    fail(limit.where, limit.text);
  }
  out.findings.insert(out.findings.begin(), handler.findings.begin(), handler.findings.end());
  return out;
}

}  // namespace pgbraid::config::yaml
