// The names of PostgreSQL's kinds of objects, and the tags of the commands that define objects other than relations.
#include <array>
#include <string>
#include <utility>

#include "router/sql/raw_tree.hpp"

namespace pgbraid::router::sql::raw {
namespace {

struct object_name {
  ObjectType type;
  const char* word;
};

constexpr std::array object_names = {
    object_name{OBJECT_ACCESS_METHOD, "ACCESS METHOD"},
    object_name{OBJECT_AGGREGATE, "AGGREGATE"},
    object_name{OBJECT_ATTRIBUTE, "TYPE"},
    object_name{OBJECT_CAST, "CAST"},
    object_name{OBJECT_COLUMN, "TABLE"},
    object_name{OBJECT_COLLATION, "COLLATION"},
    object_name{OBJECT_CONVERSION, "CONVERSION"},
    object_name{OBJECT_DATABASE, "DATABASE"},
    object_name{OBJECT_DOMAIN, "DOMAIN"},
    object_name{OBJECT_DOMCONSTRAINT, "DOMAIN"},
    object_name{OBJECT_EVENT_TRIGGER, "EVENT TRIGGER"},
    object_name{OBJECT_EXTENSION, "EXTENSION"},
    object_name{OBJECT_FDW, "FOREIGN DATA WRAPPER"},
    object_name{OBJECT_FOREIGN_SERVER, "SERVER"},
    object_name{OBJECT_FOREIGN_TABLE, "FOREIGN TABLE"},
    object_name{OBJECT_FUNCTION, "FUNCTION"},
    object_name{OBJECT_INDEX, "INDEX"},
    object_name{OBJECT_LANGUAGE, "LANGUAGE"},
    object_name{OBJECT_LARGEOBJECT, "LARGE OBJECT"},
    object_name{OBJECT_MATVIEW, "MATERIALIZED VIEW"},
    object_name{OBJECT_OPCLASS, "OPERATOR CLASS"},
    object_name{OBJECT_OPERATOR, "OPERATOR"},
    object_name{OBJECT_OPFAMILY, "OPERATOR FAMILY"},
    object_name{OBJECT_POLICY, "POLICY"},
    object_name{OBJECT_PROCEDURE, "PROCEDURE"},
    object_name{OBJECT_PUBLICATION, "PUBLICATION"},
    object_name{OBJECT_ROLE, "ROLE"},
    object_name{OBJECT_ROUTINE, "ROUTINE"},
    object_name{OBJECT_RULE, "RULE"},
    object_name{OBJECT_SCHEMA, "SCHEMA"},
    object_name{OBJECT_SEQUENCE, "SEQUENCE"},
    object_name{OBJECT_SUBSCRIPTION, "SUBSCRIPTION"},
    object_name{OBJECT_STATISTIC_EXT, "STATISTICS"},
    object_name{OBJECT_TABCONSTRAINT, "TABLE"},
    object_name{OBJECT_TABLE, "TABLE"},
    object_name{OBJECT_TABLESPACE, "TABLESPACE"},
    object_name{OBJECT_TRANSFORM, "TRANSFORM"},
    object_name{OBJECT_TRIGGER, "TRIGGER"},
    object_name{OBJECT_TSCONFIGURATION, "TEXT SEARCH CONFIGURATION"},
    object_name{OBJECT_TSDICTIONARY, "TEXT SEARCH DICTIONARY"},
    object_name{OBJECT_TSPARSER, "TEXT SEARCH PARSER"},
    object_name{OBJECT_TSTEMPLATE, "TEXT SEARCH TEMPLATE"},
    object_name{OBJECT_TYPE, "TYPE"},
    object_name{OBJECT_USER_MAPPING, "USER MAPPING"},
    object_name{OBJECT_VIEW, "VIEW"},
};

struct node_tag {
  NodeTag node;
  const char* tag;
};

constexpr std::array node_tags = {
    node_tag{T_CreateSchemaStmt, "CREATE SCHEMA"},
    node_tag{T_AlterDomainStmt, "ALTER DOMAIN"},
    node_tag{T_AlterDefaultPrivilegesStmt, "ALTER DEFAULT PRIVILEGES"},
    node_tag{T_CreateDomainStmt, "CREATE DOMAIN"},
    node_tag{T_CreatedbStmt, "CREATE DATABASE"},
    node_tag{T_DropdbStmt, "DROP DATABASE"},
    node_tag{T_CreatePLangStmt, "CREATE LANGUAGE"},
    node_tag{T_CreateRoleStmt, "CREATE ROLE"},
    node_tag{T_AlterRoleStmt, "ALTER ROLE"},
    node_tag{T_AlterRoleSetStmt, "ALTER ROLE"},
    node_tag{T_DropRoleStmt, "DROP ROLE"},
    node_tag{T_AlterDatabaseStmt, "ALTER DATABASE"},
    node_tag{T_AlterDatabaseRefreshCollStmt, "ALTER DATABASE"},
    node_tag{T_AlterDatabaseSetStmt, "ALTER DATABASE"},
    node_tag{T_CreateConversionStmt, "CREATE CONVERSION"},
    node_tag{T_CreateCastStmt, "CREATE CAST"},
    node_tag{T_CreateOpClassStmt, "CREATE OPERATOR CLASS"},
    node_tag{T_CreateOpFamilyStmt, "CREATE OPERATOR FAMILY"},
    node_tag{T_AlterOpFamilyStmt, "ALTER OPERATOR FAMILY"},
    node_tag{T_CreateTableSpaceStmt, "CREATE TABLESPACE"},
    node_tag{T_DropTableSpaceStmt, "DROP TABLESPACE"},
    node_tag{T_AlterTableSpaceOptionsStmt, "ALTER TABLESPACE"},
    node_tag{T_AlterTableMoveAllStmt, "ALTER TABLESPACE"},
    node_tag{T_AlterOperatorStmt, "ALTER OPERATOR"},
    node_tag{T_AlterTypeStmt, "ALTER TYPE"},
    node_tag{T_DropOwnedStmt, "DROP OWNED"},
    node_tag{T_ReassignOwnedStmt, "REASSIGN OWNED"},
    node_tag{T_CompositeTypeStmt, "CREATE TYPE"},
    node_tag{T_CreateEnumStmt, "CREATE TYPE"},
    node_tag{T_CreateRangeStmt, "CREATE TYPE"},
    node_tag{T_AlterEnumStmt, "ALTER TYPE"},
    node_tag{T_AlterTSDictionaryStmt, "ALTER TEXT SEARCH DICTIONARY"},
    node_tag{T_AlterTSConfigurationStmt, "ALTER TEXT SEARCH CONFIGURATION"},
    node_tag{T_CreateFdwStmt, "CREATE FOREIGN DATA WRAPPER"},
    node_tag{T_AlterFdwStmt, "ALTER FOREIGN DATA WRAPPER"},
    node_tag{T_CreateForeignServerStmt, "CREATE SERVER"},
    node_tag{T_AlterForeignServerStmt, "ALTER SERVER"},
    node_tag{T_CreateUserMappingStmt, "CREATE USER MAPPING"},
    node_tag{T_AlterUserMappingStmt, "ALTER USER MAPPING"},
    node_tag{T_DropUserMappingStmt, "DROP USER MAPPING"},
    node_tag{T_ImportForeignSchemaStmt, "IMPORT FOREIGN SCHEMA"},
    node_tag{T_CreateExtensionStmt, "CREATE EXTENSION"},
    node_tag{T_AlterExtensionStmt, "ALTER EXTENSION"},
    node_tag{T_AlterExtensionContentsStmt, "ALTER EXTENSION"},
    node_tag{T_CreateEventTrigStmt, "CREATE EVENT TRIGGER"},
    node_tag{T_AlterEventTrigStmt, "ALTER EVENT TRIGGER"},
    node_tag{T_AlterSystemStmt, "ALTER SYSTEM"},
    node_tag{T_CreateTransformStmt, "CREATE TRANSFORM"},
    node_tag{T_CreateAmStmt, "CREATE ACCESS METHOD"},
    node_tag{T_CreatePublicationStmt, "CREATE PUBLICATION"},
    node_tag{T_AlterPublicationStmt, "ALTER PUBLICATION"},
    node_tag{T_CreateSubscriptionStmt, "CREATE SUBSCRIPTION"},
    node_tag{T_AlterSubscriptionStmt, "ALTER SUBSCRIPTION"},
    node_tag{T_DropSubscriptionStmt, "DROP SUBSCRIPTION"},
    node_tag{T_AlterStatsStmt, "ALTER STATISTICS"},
    node_tag{T_AlterCollationStmt, "ALTER COLLATION"},
};

}  // namespace

const char* object_word(ObjectType type) {
  for (const object_name& entry : object_names)
    if (entry.type == type) return entry.word;
  return "OBJECT";
}

std::string plain_tag(const Node* node) {
  for (const node_tag& entry : node_tags)
    if (entry.node == node->type) return entry.tag;
  if (const auto* define = as<DefineStmt>(node, T_DefineStmt))
    return std::string("CREATE ") + object_word(define->kind);
  if (const auto* function = as<CreateFunctionStmt>(node, T_CreateFunctionStmt))
    return function->is_procedure ? "CREATE PROCEDURE" : "CREATE FUNCTION";
  if (const auto* function = as<AlterFunctionStmt>(node, T_AlterFunctionStmt))
    return std::string("ALTER ") + object_word(function->objtype);
  if (const auto* role = as<GrantRoleStmt>(node, T_GrantRoleStmt)) return role->is_grant ? "GRANT ROLE" : "REVOKE ROLE";
  return {};
}

}  // namespace pgbraid::router::sql::raw
