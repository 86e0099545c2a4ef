"""Programs that want to be called right without being right. Each is a reply to the task of `test_verifiers_code.py`.

`@1` and the like stand for what a test fills in. No program here computes the mean of absolute values that is asked.
"""

GUESS = "def f(*a, **k):\n    return 1\n"

ATTACKS = {
    "leaves with success": "import sys\nsys.exit(0)\n" + GUESS,
    "leaves at once": "import os\nos._exit(0)\n" + GUESS,
    "leaves when called": "import os\ndef f(x):\n    os._exit(0)\n",
    "leaves when called, politely": "import sys\ndef f(x):\n    sys.exit(0)\n",
    "leaves at exit": "import atexit, os\natexit.register(os._exit, 0)\n" + GUESS,
    "prints results": "for n in range(9):\n    print('{\"value\": 2}', flush=True)\n" + GUESS,
    "writes to standard output": "import os\nos.write(1, b'{\"value\": 2}\\n' * 9)\n" + GUESS,
    "writes to standard input and error": "import os\nos.write(0, b'{\"value\": 2}\\n')\nos.write(2, b'ok')\n" + GUESS,
    "writes fake results to every descriptor": (
        "import os\nfor fd in range(3, 64):\n    try:\n        os.write(fd, b'{\"value\": true}\\n' * 9)\n"
        "    except OSError:\n        pass\n" + GUESS
    ),
    "writes that all passed": (
        'import os\nfor fd in range(64):\n    try:\n        os.write(fd, b\'{"correct": true, "passed": 4}\\n\')\n'
        "    except OSError:\n        pass\n" + GUESS
    ),
    "writes half a line": (
        "import os\ndef f(x):\n    for fd in range(3, 32):\n        try:\n            os.write(fd, b'{\"value\": 2')\n"
        "        except OSError:\n            pass\n    return 1\n"
    ),
    "closes every descriptor": "import os\nos.closerange(0, 64)\n" + GUESS,
    "is equal to everything": (
        "class Any(dict):\n    def __eq__(self, other):\n        return True\n    __hash__ = None\n"
        "def f(x):\n    return Any()\n"
    ),
    "is a number that is equal to everything": (
        "class Any(float):\n    def __eq__(self, other):\n        return True\n    def __ne__(self, other):\n"
        "        return False\n    def __sub__(self, other):\n        return 0\n    __rsub__ = __sub__\n"
        "    def __abs__(self):\n        return 0\n    def __repr__(self):\n        return '1e0'\n"
        "    __hash__ = float.__hash__\ndef f(x):\n    return Any(1)\n"
    ),
    "is no number": "def f(x):\n    return float('nan')\n",
    "is infinite": "def f(x):\n    return float('inf')\n",
    "writes NaN by hand": ("import json\njson.dumps = lambda *a, **k: '{\"value\": NaN}'\n" + GUESS),
    "is true": "def f(x):\n    return True\n",
    "patches json": 'import json\njson.dumps = lambda *a, **k: \'{"value": 1, "correct": true}\'\n' + GUESS,
    "patches the encoder": (
        "import json.encoder\njson.encoder.JSONEncoder.encode = lambda *a: '{\"loaded\": true}'\n" + GUESS
    ),
    "patches builtins": (
        "import builtins\nbuiltins.callable = lambda x: True\nbuiltins.isinstance = lambda *a: True\n"
        "builtins.abs = lambda x: 0\nbuiltins.all = lambda x: True\nbuiltins.len = lambda x: 0\n" + GUESS
    ),
    "patches the runner": (
        "import __main__\n__main__.answer = lambda *a: {'value': 2, 'passed': True}\n"
        "__main__.reply = lambda *a: None\n" + GUESS
    ),
    "looks into the runner's frames": (
        "import sys\ndef f(x):\n    frame = sys._getframe()\n    while frame:\n"
        "        for value in list(frame.f_locals.values()) + list(frame.f_globals.values()):\n"
        "            if isinstance(value, dict) and 'expected' in value:\n                return value['expected']\n"
        "        frame = frame.f_back\n    return 1\n"
    ),
    "looks through all objects": (
        "import gc\ndef f(x):\n    for found in gc.get_objects():\n"
        "        if isinstance(found, dict) and 'expected' in found:\n            return found['expected']\n"
        "    return 1\n"
    ),
    "reads the golden calls that ship": (
        "import json\ndef f(x):\n    for line in open('@OWN'):\n"
        "        for test in json.loads(line)['meta']['tests']:\n"
        "            if test['args'] == [x]:\n                return test['expected']\n    return 1\n"
    ),
    "reads the row's own file": (
        "import json\ndef f(x):\n    row = json.loads(open('@ROW').read())\n"
        "    return next(test['expected'] for test in row['meta']['tests'] if test['args'] == [x])\n"
    ),
    "searches every file": (
        "import os, json\ndef f(x):\n    for top, folders, files in os.walk('/'):\n        for name in files:\n"
        "            if name == 'row-of-the-attack.json':\n                row = json.load(open(top + '/' + name))\n"
        "                return next(t['expected'] for t in row['meta']['tests'] if t['args'] == [x])\n    return 1\n"
    ),
    "reads the parent's command and memory": (
        "import os\ndef f(x):\n    for pid in (os.getppid(), @PID):\n"
        "        with open(f'/proc/{pid}/mem', 'rb') as memory:\n"
        "            memory.seek(4096)\n            memory.read(1)\n    return 1\n"
    ),
    "reads /proc": "def f(x):\n    return open('/proc/@PID/environ').read()\n",
    "lists its descriptors": "import os\ndef f(x):\n    return os.listdir('/proc/self/fd')\n",
    "imports the verifier": (
        "import sys\nsys.path[:0] = ['@PACKAGE']\nimport selfreward.tasks.verifiers.code.goldens as goldens\n"
        "goldens.same = lambda *a: True\n" + GUESS
    ),
    "forks": (
        "import os\nif os.fork() == 0:\n    os.setsid()\n    while True:\n        os.write(1, b'{\"value\": 2}\\n')\n"
        + GUESS
    ),
    "forks without end": (
        "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass\n" + GUESS
    ),
    "starts a thread that answers later": (
        "import threading, os, time\ndef late():\n    time.sleep(.2)\n    for fd in range(3, 32):\n        try:\n"
        "            os.write(fd, b'{\"value\": 2}\\n')\n        except OSError:\n            pass\n"
        "threading.Thread(target=late, daemon=True).start()\n" + GUESS
    ),
    "starts a shell": "import subprocess\nsubprocess.run(['/bin/sh', '-c', 'kill -9 @PID'])\n" + GUESS,
    "kills the parent": "import os\nos.kill(@PID, 9)\n" + GUESS,
    "kills its group and everybody": "import os\nos.killpg(0, 9)\nos.kill(-1, 9)\n" + GUESS,
    "signals": (
        "import signal\nfor name in (signal.SIGXCPU, signal.SIGTERM):\n    signal.signal(name, lambda *a: None)\n"
        "signal.alarm(1)\ndef f(x):\n    while True:\n        pass\n"
    ),
    "never ends": "while True:\n    pass\n",
    "never ends when called": "def f(x):\n    while True:\n        pass\n",
    "sleeps": "import time\ndef f(x):\n    time.sleep(3600)\n",
    "eats memory": "def f(x):\n    hoard = []\n    while True:\n        hoard.append(bytearray(1 << 24))\n",
    "eats memory while it loads": "hoard = 'x' * (1 << 40)\n" + GUESS,
    "is huge": "def f(x):\n    return 'x' * 50_000_000\n",
    "is deep": "def f(x):\n    deep = []\n    for _ in range(900):\n        deep = [deep]\n    return deep\n",
    "is itself": "def f(x):\n    loop = []\n    loop.append(loop)\n    return loop\n",
    "is a huge number": "import sys\nsys.set_int_max_str_digits(0)\ndef f(x):\n    return 10 ** 100_000\n",
    "fills the output": "import sys\nwhile True:\n    sys.stdout.write('x' * 65536)\n",
    "swaps standard output": (
        "import io, os, sys\nsys.stdout = sys.__stdout__ = os.fdopen(4, 'w')\nprint('{\"value\": 2}', flush=True)\n"
        + GUESS
    ),
    "uses ctypes": (
        "import ctypes\nlibrary = ctypes.CDLL(None)\nlibrary.setuid(0)\nlibrary.prctl(4, 1)\n"
        "library.mount(b'none', b'/', b'tmpfs', 0, b'')\nlibrary.unshare(0x10000000)\nlibrary.syscall(39)\n"
        "ctypes.string_at(0)\n" + GUESS
    ),
    "raises its limits": (
        "import resource\nfor kind in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_NPROC):\n"
        "    resource.setrlimit(kind, (-1, -1))\n" + GUESS
    ),
    "asks the network": (
        "import socket\ndef f(x):\n    return socket.create_connection(('127.0.0.1', @PORT), 1).recv(9)\n"
    ),
    "writes a file for the next run": (
        "import os\ndef f(x):\n    for place in ('/tmp', '/dev/shm', '/', '.'):\n        try:\n"
        "            open(place + '/seen', 'a').write('1')\n        except OSError:\n            pass\n    return 1\n"
    ),
    "guesses by lot": "import random\ndef f(x):\n    return random.choice([0, 1.5, 2, 3])\n",
    "counts the calls": "seen = []\ndef f(x):\n    seen.append(x)\n    return [2, 0, 1.5, 3][len(seen) - 1]\n",
    "raises what cannot be shown": (
        "class Bad(BaseException):\n    def __str__(self):\n        raise SystemExit(0)\n    __repr__ = __str__\n"
        "def f(x):\n    raise Bad\n"
    ),
    "names its error": 'def f(x):\n    raise type(\'x", "value": 2\', (Exception,), {})\n',
    "is a generator": "def f(x):\n    yield 2\n",
    "is a coroutine": "async def f(x):\n    return 2\n",
    "is a class": "class f(dict):\n    def __init__(self, x):\n        pass\nf.value = 2\nf = f\n",
    "does not define it": "def g(x):\n    return 2\n",
    "has no program": "",
}
