#!/usr/bin/env python3
"""Writes evil_names.txt: names that a stranger may give a file, to do harm where it is saved.

    python3 tests/vectors/evil_names.py > tests/vectors/evil_names.txt

A line is a name, printable ASCII but for blanks, # and backslashes as it is and all else as \\xNN; after
a tab may stand what it must become. What every result must be is in tests/names_check.h."""

HEAD = """\
# Names that a stranger may give a file, made by evil_names.py; unit_evil_names makes all of them safe
# and saves a file under each. After a tab: what the name must become.
"""

names = {}  # bytes -> wanted result or None, in order


def add(name, wanted=None):
    raw = name if isinstance(name, bytes) else name.encode("utf-8", "surrogatepass")
    names.setdefault(raw, wanted)


# By hand, with the result.
for name, wanted in [
    ("", "unnamed"), (".", "unnamed"), ("..", "unnamed"), ("...", "unnamed"), (" ", "unnamed"),
    ("../../.ssh/authorized_keys", "___.._.ssh_authorized_keys"),
    ("/etc/passwd", "_etc_passwd"), ("..\\..\\boot.ini", "___.._boot.ini"),
    (".bashrc", "_bashrc"), (".profile", "_profile"), ("-rf", "_rf"), ("--checkpoint-action=exec=sh",
    "__checkpoint-action=exec=sh"), ("~", "_"), ("~root", "_root"), ("~/.netrc", "__.netrc"),
    ("CON", "_CON"), ("nul.txt", "_nul.txt"), ("COM1", "_COM1"), ("aux .c", "_aux .c"),
    ("CLOCK$", "_CLOCK$"), ("file.txt:evil.exe", "file.txt_evil.exe"), ("a.txt::$DATA", "a.txt__$DATA"),
    ("song\u202egpj.exe", "song_gpj.exe"), ("a\x00b", "a_b"), ("a\nb", "a_b"),
    ("\u3000", "unnamed"), ("\u00a0x\u00a0", "_x"), ("in\ufeffvisible", "in_visible"),
    ("zero\u200bwidth", "zero_width"), ("soft\u00adhyphen", "soft_hyphen"), ("tag\U000e0041", "tag_"),
    ("trailing.", "trailing"), ("trailing ", "trailing"), ("x. . .", "x"),
    (b"overlong \xc0\xaf", "overlong __"), (b"lone \xed\xa0\x80", "lone ___"),
    ("\u0627\u0644\u0645\u0648\u0633\u064a\u0642\u0649.mp3", None),  # honest, right to left
    ("family \U0001f468\u200d\U0001f469\u200d\U0001f467.png", None),  # honest, joined
]:
    add(name, wanted)

# Ways out of the folder.
ups = ["..", "...", "....", ".", "%2e%2e", "..%00", "\u2025", "\uff0e\uff0e", "..;", ".. "]
slashes = ["/", "\\", "//", "\\\\", "/./", "%2f", "%5c", "\u2215", "\uff0f", "\u29f8", "\u2044", "\u00a5"]
for up in ups:
    for slash in slashes:
        add(up + slash + "etc" + slash + "passwd")
        add("music" + slash + up + slash + up + slash + "x.mp3")
for raw in [b"\xc0\xae\xc0\xae/", b"\xe0\x80\xae\xe0\x80\xae/", b"\xf0\x80\x80\xaf", b"\xc1\x9c", b"..\xc0\xaf", b"..\xc1\x9c",
            b"\xff\xfe", b"\xfe\xff.\x00.\x00/\x00", b"\x80", b"\xbf.mp3", b"abc\xe2\x80", b"\xf4\x90\x80\x80",
            b"\xf8\x88\x80\x80\x80", b"\xed\xbf\xbf", b"\xc3(", b"x\xc3", b"\xe2\x28\xa1", b"\xf0\x28\x8c\xbc"]:
    add(raw)
for place in ["C:\\Windows\\win.ini", "C:x", "\\\\server\\share\\x", "//server/share/x", "\\\\?\\C:\\x", "\\\\.\\COM1",
              "\\\\.\\PhysicalDrive0", "file:///etc/passwd", "http://x/y", "/dev/sda", "/dev/stdin", "/proc/self/mem",
              "/proc/self/fd/3", "/sys/power/state", "$HOME/.bashrc", "${HOME}", "%USERPROFILE%\\x", "%SystemRoot%",
              ".ssh/authorized_keys", ".config/autostart/x.desktop", ".git/hooks/post-checkout", ".trunkline/x.part",
              ".trunkline", "node.key", "../.trunkline/x.journal", "x.part", "x.journal", "x.journal.new", "lost+found"]:
    add(place)

# Devices of Windows, in every dress.
devices = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"]
devices += [port + digit for port in ["COM", "LPT"] for digit in "0123456789\u00b9\u00b2\u00b3"]
for device in devices:
    for dress in ["{}", "{}.txt", "{} .tar.gz", "{}:", "{}. "]:
        add(dress.format(device))
    add(device.lower() + ".mp3")
    add(device.capitalize())
    add(" " + device)

# What hides, reverses or is no character; alone, in front, in the middle, at the end.
points = list(range(0x01, 0x20)) + list(range(0x7f, 0xa1))
points += [0xad, 0x61c, 0x115f, 0x1160, 0x1680, 0x180e, 0x3000, 0x3164, 0xfeff, 0xffa0, 0xfff9, 0xfffa, 0xfffb]
points += list(range(0x2000, 0x2010)) + list(range(0x2028, 0x2030)) + list(range(0x205f, 0x2070))
points += [0xfdd0, 0xfdef, 0xfffe, 0xffff, 0x1fffe, 0x10ffff, 0xe0001, 0xe0020, 0xe007f, 0xd800, 0xdfff]
for point in points:
    add(chr(point))
    add(chr(point) + "front.mp3")
    add("song" + chr(point) + "3pm.exe")
    add("end" + chr(point))

# For a shell, a terminal, a desktop, a web page, a database.
for text in ["$(reboot)", "`reboot`", "; reboot", "| sh", "&& sh", "> /etc/passwd", "< x", "a;b", "a&b", "*", "?", "[a-z]", "{a,b}",
             "!!", "#", "'", "\"", "' OR 1=1 --", "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "%n%n%n%s",
             "%s%s%s%s", "{{7*7}}", "${jndi:ldap://x/a}", "\x1b[2J", "\x1b]0;title\x07", "\x1bP", "\x9b31m", "a\rb", "a\tb",
             "a\x08b", "desktop.ini", "autorun.inf", "Thumbs.db", ".DS_Store", "._x", ".htaccess", "x.desktop", "x.lnk",
             "x.mp3.exe", "x.mp3                                                                 .exe", "-", "--", "-e", "-o x",
             "--help", "-\n", "=cmd|' /C calc'!A0", "+x", "@x", "a\u2028b", "a\u2029b", "NULL", "null", "undefined", "nan",
             "x" * 239 + ".", "x" * 240, "x" * 241, "x" * 255, "x" * 256, "x" * 4096, "." * 255, " " * 255, "-" * 255,
             "x" * 236 + ".mp3", "x" * 237 + ".mp3", "x" * 300 + ".mp3", "x" * 200 + "." + "y" * 100, "\ud55c" * 80,
             "\ud55c" * 81, "\U0001f40b" * 60, "\U0001f40b" * 61, "\U0001f40b" * 200 + ".ogg", "e\u0301" * 100,
             "a" + "\u0300" * 200, "CON" + " " * 300, "CON" + " " * 237 + "x", "NUL." + "x" * 300, "." + "x" * 300,
             "x" * 240 + "/../y", "x." + " " * 250 + ".exe"]:
    add(text)


def shown(raw):
    return "".join(chr(byte) if 0x20 < byte < 0x7f and byte not in (0x23, 0x5c) else "\\x%02x" % byte for byte in raw)


print(HEAD, end="")
for raw, wanted in names.items():
    print(shown(raw) + ("" if wanted is None else "\t" + shown(wanted.encode())))
