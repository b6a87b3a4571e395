# Read by head.sh and node.sh: nothing of Ray starts without a token. It comes from RAY_AUTH_TOKEN,
# or from where Ray itself looks for one (RAY_AUTH_TOKEN_PATH, ~/.ray/auth_token).
# shellcheck shell=bash
if [[ -z ${RAY_AUTH_TOKEN:-} && ! -s ${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token} ]]; then
    echo "There is no token. Make one, and give it to every host:" \
        "export RAY_AUTH_TOKEN=\$(python3 -c 'import secrets; print(secrets.token_hex(32))')" >&2
    exit 1
fi
export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
