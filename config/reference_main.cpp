// pgbraid_config_reference: prints the generated documents, `markdown` for docs/configuration.md and `schema` for
// docs/pgbraid.schema.json. A build tool, not shipped.
#include "config/config.hpp"

#include <cstdio>
#include <cstring>
#include <string>

int main(int count, char** arguments) {
  std::string text;
  if (count == 2 && std::strcmp(arguments[1], "markdown") == 0)
    text = pgbraid::config::reference_markdown();
  else if (count == 2 && std::strcmp(arguments[1], "schema") == 0)
    text = pgbraid::config::json_schema();
  else
    return std::fputs("usage: pgbraid_config_reference markdown | schema\n", stderr), 2;
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() ? 0 : 1;
}
