"""A file system over a folder whose writes stay in memory until they are synced.

    lossy.py BACKING MOUNT     SIGUSR1 takes away what was not synced
    lossy.py --probe FOLDER    mounts and unmounts, to see whether that can be done

Names go straight through: lost ones are the simulated disk's business.
"""

import errno
import os
import signal
import subprocess
import sys
import threading

from mfusepy import FUSE, FuseOSError, Operations

KEPT = ("st_mode", "st_uid", "st_gid", "st_size", "st_nlink", "st_atime", "st_mtime", "st_ctime")


class Lossy(Operations):
    """`unsynced` holds whole files by inode, as a file may have two names while it is linked."""

    use_ns = True

    def __init__(self, root):
        self.root = root
        self.unsynced = {}
        self.is_cut = False
        self.synced_at_once = set()
        self.next_handle = 0

    def real(self, path):
        return self.root + path

    def inode(self, path):
        return os.lstat(self.real(path)).st_ino

    def cut_power(self):
        """Noted only: between two operations it takes effect, never in the middle of one."""
        self.is_cut = True

    def settle(self):
        if self.is_cut:
            self.is_cut = False
            self.unsynced.clear()

    def buffer(self, path):
        self.settle()
        inode = self.inode(path)
        if inode not in self.unsynced:
            with open(self.real(path), "rb") as file:
                self.unsynced[inode] = bytearray(file.read())
        return self.unsynced[inode]

    def handle(self, flags):
        self.next_handle += 1
        if flags & os.O_DSYNC:
            self.synced_at_once.add(self.next_handle)
        return self.next_handle

    def getattr(self, path, fh=None):
        self.settle()
        try:
            status = os.lstat(self.real(path))
        except OSError as error:
            raise FuseOSError(error.errno) from error
        found = {key: getattr(status, key) for key in KEPT}
        for key in ("st_atime", "st_mtime", "st_ctime"):
            found[key] = getattr(status, f"{key}_ns")
        if status.st_ino in self.unsynced:
            found["st_size"] = len(self.unsynced[status.st_ino])
        return found

    def readdir(self, path, fh):
        return [".", "..", *os.listdir(self.real(path))]

    def create(self, path, mode, fi):
        flags = os.O_CREAT | os.O_WRONLY | (fi.flags & os.O_EXCL)
        os.close(os.open(self.real(path), flags, mode))
        fi.fh = self.handle(fi.flags)
        return 0

    def open(self, path, fi):
        fi.fh = self.handle(fi.flags)
        return 0

    def release(self, path, fi):
        self.synced_at_once.discard(fi.fh)
        return 0

    def read(self, path, size, offset, fi):
        return bytes(self.buffer(path)[offset : offset + size])

    def write(self, path, data, offset, fi):
        bytes_now = self.buffer(path)
        if len(bytes_now) < offset:
            bytes_now.extend(bytes(offset - len(bytes_now)))
        bytes_now[offset : offset + len(data)] = data
        if fi.fh in self.synced_at_once:
            self.sync(path)
        return len(data)

    def truncate(self, path, length, fh=None):
        bytes_now = self.buffer(path)
        del bytes_now[length:]
        bytes_now.extend(bytes(length - len(bytes_now)))

    def sync(self, path):
        self.settle()
        inode = self.inode(path)
        if inode in self.unsynced:
            with open(self.real(path), "wb") as file:
                file.write(self.unsynced[inode])

    def fsync(self, path, datasync, fi):
        self.sync(path)
        return 0

    def forget(self, path):
        """The number of a file whose last name goes will be another file's."""
        if os.path.lexists(self.real(path)):
            status = os.lstat(self.real(path))
            if status.st_nlink == 1:
                self.unsynced.pop(status.st_ino, None)

    def unlink(self, path):
        self.forget(path)
        os.unlink(self.real(path))

    def link(self, target, source):
        try:
            os.link(self.real(source), self.real(target))
        except OSError as error:
            raise FuseOSError(error.errno) from error

    def rename(self, old, new):
        self.forget(new)
        os.rename(self.real(old), self.real(new))

    def mkdir(self, path, mode):
        try:
            os.mkdir(self.real(path), mode)
        except OSError as error:
            raise FuseOSError(error.errno) from error

    def mknod(self, path, mode, device):
        os.mknod(self.real(path), mode, device)

    def rmdir(self, path):
        os.rmdir(self.real(path))

    def chmod(self, path, mode):
        os.chmod(self.real(path), mode)

    def utimens(self, path, times=None):
        return 0

    def access(self, path, mode):
        if not os.path.lexists(self.real(path)):
            raise FuseOSError(errno.ENOENT)
        return 0

    def statfs(self, path):
        status = os.statvfs(self.real(path))
        return {key: getattr(status, key) for key in ("f_bsize", "f_blocks", "f_bavail", "f_bfree")}


def mount(backing, folder):
    files = Lossy(backing)
    signal.signal(signal.SIGUSR1, lambda *_: files.cut_power())
    FUSE(files, folder, foreground=True, nothreads=True, direct_io=True, raw_fi=True)


def probe(folder):
    backing = os.path.join(folder, "backing")
    point = os.path.join(folder, "mounted")
    os.mkdir(backing)
    os.mkdir(point)
    end = threading.Timer(0.5, lambda: subprocess.run(["fusermount3", "-u", point], check=False))
    end.start()
    mount(backing, point)


if sys.argv[1] == "--probe":
    probe(sys.argv[2])
else:
    mount(sys.argv[1], sys.argv[2])
