// An echo on uWebSockets: [CERTIFICATE.pem KEY.pem] are the arguments.
#include <cstdio>
#include <string_view>

#include "App.h"

struct Nothing {};

template <bool SSL, typename App>
int serve(App app, const char *scheme) {
    app.template ws<Nothing>("/*", {
        .compression = uWS::DISABLED,
        .maxPayloadLength = 16 * 1024 * 1024,
        .idleTimeout = 0,
        .maxBackpressure = 64 * 1024 * 1024,
        .sendPingsAutomatically = false,
        .message = [](auto *ws, std::string_view message, uWS::OpCode opcode) { ws->send(message, opcode); },
    });
    app.listen("127.0.0.1", 0, [scheme](auto *socket) {
        if (!socket) {
            std::fprintf(stderr, "cannot listen\n");
            return;
        }
        std::printf("listening on %s://127.0.0.1:%d\n", scheme, us_socket_local_port(SSL, (us_socket_t *) socket));
        std::fflush(stdout);
    });
    app.run();
    return 1;
}

int main(int count, char **arguments) {
    if (count == 3) {
        uWS::SocketContextOptions options;
        options.cert_file_name = arguments[1];
        options.key_file_name = arguments[2];
        return serve<true>(uWS::SSLApp(options), "wss");
    }
    return serve<false>(uWS::App(), "ws");
}
