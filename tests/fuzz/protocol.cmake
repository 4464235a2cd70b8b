foreach(name startup frontend backend scram backend_login client_login)
  pgbraid_fuzz_target(protocol_${name} LIBS pgbraid_protocol SOURCES protocol_${name}.cpp)
endforeach()
