// load_file, load_text: from text to a checked topology and all that is wrong with it.
#include "config/sections.hpp"
#include "config/shape.hpp"
#include "config/yaml_tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

namespace pgbraid::config {

std::string to_string(const finding& f, std::string_view file) {
  const std::string_view level = f.severity == finding::level::error ? "error" : "warning";
  if (f.where.line == 0) return fmt::format("{}: {}: {}", file, level, f.text);
  return fmt::format("{}:{}:{}: {}: {}", file, f.where.line, f.where.column, level, f.text);
}

bool load_result::ok() const noexcept {
  return std::none_of(findings.begin(), findings.end(),
                      [](const finding& f) { return f.severity == finding::level::error; });
}

load_result load_text(const std::string& text, const std::string& name) {
  load_result out;
  out.value.file = name;
  yaml::tree document = yaml::parse(text);
  out.findings = std::move(document.findings);
  if (!document.root) {
    if (out.findings.empty())
      out.findings.push_back({finding::level::error, {}, "the file is empty: databases is missing"});
    return out;
  }
  const auto slash = name.rfind('/');
  const std::string folder = slash == name.npos ? std::string() : name.substr(0, slash);
  check_shape(*document.root, out.findings);
  read_settings(*document.root, folder, out.value, out.findings);
  read_users(*document.root, folder, out.value, out.findings);
  read_databases(*document.root, folder, out.value, out.findings);
  std::stable_sort(out.findings.begin(), out.findings.end(), [](const finding& a, const finding& b) {
    return std::pair(a.where.line, a.where.column) < std::pair(b.where.line, b.where.column);
  });
  return out;
}

const user* find_user(const topology& t, std::string_view name) {
  const user* any = nullptr;
  for (const user& u : t.users) {
    if (u.name == name) return &u;
    if (u.name == "*") any = &u;
  }
  return any;
}

load_result load_file(const std::string& path) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  std::string text(yaml::max_file_bytes + 1, '\0');
  if (!in || (!in.read(text.data(), static_cast<std::streamsize>(text.size())) && !in.eof()) || in.bad()) {
    load_result out;
    out.value.file = path;
    out.findings.push_back(
        {finding::level::error, {}, fmt::format("cannot be read: {}", std::strerror(errno != 0 ? errno : EIO))});
    return out;
  }
  text.resize(static_cast<std::size_t>(in.gcount()));
  return load_text(text, path);
}

}  // namespace pgbraid::config
