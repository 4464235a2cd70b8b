// Certificates for the tests of TLS, made in memory and written to a folder that goes away with the program.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace pgbraid::proxy::testing {

inline const std::string& certificate_folder() {
  struct folder {
    std::string path = std::filesystem::temp_directory_path() / ("pgbraid_unit_tls." + std::to_string(::getpid()));
    folder() { std::filesystem::create_directories(path); }
    ~folder() {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
  };
  static const folder only;
  return only.path;
}

/// A key and a certificate that signs itself; `file` and `key_file` hold them. Its own authority.
struct self_signed {
  std::string file, key_file;

  /// `names`: "DNS:db1,IP:127.0.0.1".
  explicit self_signed(const std::string& name, const std::string& names) {
    const std::string base = certificate_folder() + '/' + name;
    file = base + ".crt";
    key_file = base + ".key";
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_set_pubkey(certificate, key);
    X509_NAME* subject = X509_get_subject_name(certificate);
    const auto* text = reinterpret_cast<const unsigned char*>(name.c_str());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, text, -1, -1, 0);
    X509_set_issuer_name(certificate, subject);
    X509_EXTENSION* alternatives = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
    X509_add_ext(certificate, alternatives, -1);
    X509_EXTENSION_free(alternatives);
    const bool made = X509_sign(certificate, key, EVP_sha256()) > 0;
    const bool written = write(file, [&](std::FILE* out) { return PEM_write_X509(out, certificate); }) &&
                         write(key_file, [&](std::FILE* out) {
                           return PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
                         });
    X509_free(certificate);
    EVP_PKEY_free(key);
    if (!made || !written) throw std::runtime_error{"no certificate could be made"};
  }

 private:
  template <typename Writer>
  static bool write(const std::string& path, const Writer& writer) {
    std::FILE* out = std::fopen(path.c_str(), "w");
    if (out == nullptr) return false;
    const bool done = writer(out) == 1;
    return std::fclose(out) == 0 && done;
  }
};

}  // namespace pgbraid::proxy::testing
