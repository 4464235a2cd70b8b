// Boost.JSON, compiled into this folder's library: it is used from its headers, and this is the one file that holds its
// code.
#include <boost/json/src.hpp>
