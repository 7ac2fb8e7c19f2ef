# Sourced by the other scripts, with a job and a family before their own arguments: run.py does the job. Any Python 3
# runs it; the environment variable PYTHON is the one that runs the tools.
scripts=$(dirname "${BASH_SOURCE[0]}")
python=$scripts/../../.venv/bin/python
[ -x "$python" ] || python=python3
if ! command -v "$python" > /dev/null; then
    echo "error: found neither .venv/bin/python nor python3: install Python 3.11, 3.12 or 3.13, then run make" >&2
    exit 2
fi
exec "$python" "$scripts/run.py" "$0" "$@"
