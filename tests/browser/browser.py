"""Chromium, driven by Debian's Selenium, with the mock server behind the page; what the tests share."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
SAMPLES = HERE.parents[1] / 'assets' / 'samples'
SHOTS = pathlib.Path(os.environ.get('DUET_SHOTS', HERE.parents[1] / 'build' / 'shots'))
sys.path.insert(0, str(HERE))

import mock  # noqa: E402

WHY_NOT = None
try:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    if not (os.path.exists('/usr/bin/chromium') and os.path.exists('/usr/bin/chromedriver')):
        WHY_NOT = 'SKIPPED: no Chromium; apt-get install chromium chromium-driver'
except ImportError:
    WHY_NOT = 'SKIPPED: no Selenium; apt-get install python3-selenium, and run with /usr/bin/python3'

FLAGS = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
         '--disable-component-update', '--disable-sync']
# Dispatches a drop of files: [[name, base64, type]...]; what the system's file manager does to an element.
DROP = """
const [target, files] = arguments;
const transfer = new DataTransfer();
for (const [name, data, type] of files)
  transfer.items.add(new File([Uint8Array.from(atob(data), c => c.charCodeAt(0))], name, {type, lastModified: 1}));
document.querySelector(target).dispatchEvent(new DragEvent('drop', {dataTransfer: transfer, bubbles: true, cancelable: true}));
"""


def open_browser(profile, lang='en', size=(1440, 900)):
    options = webdriver.ChromeOptions()
    for flag in FLAGS + [f'--user-data-dir={profile}', f'--lang={lang}', f'--window-size={size[0]},{size[1]}']:
        options.add_argument(flag)
    options.binary_location = '/usr/bin/chromium'
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
    options.add_experimental_option('prefs', {'intl.accept_languages': lang, 'download.default_directory': profile + '/down'})
    driver = webdriver.Chrome(service=Service('/usr/bin/chromedriver', env={**os.environ, 'LANGUAGE': lang}), options=options)
    driver.set_script_timeout(60)
    return driver


def axe_source():
    """axe-core's script: of $AXE, or from PyPI's axe-core-python, kept in build/; None if it cannot be had."""
    if os.environ.get('AXE'):
        return pathlib.Path(os.environ['AXE']).read_text()
    kept = HERE.parents[1] / 'build' / 'axe'
    if not list(kept.glob('*.whl')):
        kept.mkdir(parents=True, exist_ok=True)
        subprocess.run([shutil.which('python3') or sys.executable, '-m', 'pip', 'download', '-q', '--no-deps', '-d', str(kept),
                        'axe-core-python==0.1.0'], capture_output=True, timeout=120, check=False)
    for wheel in kept.glob('*.whl'):
        return zipfile.ZipFile(wheel).read('axe_core_python/axe.min.js').decode()
    return None


@unittest.skipIf(WHY_NOT, WHY_NOT)
class PageTest(unittest.TestCase):
    """One browser and one server a class; each test begins with a fresh page, an empty store and a quiet log."""
    lang = 'en'

    @classmethod
    def setUpClass(cls):
        cls.profile = tempfile.mkdtemp(prefix='duet-browser-')
        cls.server = mock.start()
        cls.url = f'http://127.0.0.1:{cls.server.server_address[1]}/'
        cls.browser = open_browser(cls.profile, cls.lang)

    @classmethod
    def tearDownClass(cls):
        cls.browser.quit()
        cls.server.shutdown()
        shutil.rmtree(cls.profile, ignore_errors=True)

    def setUp(self):
        self.server.state = mock.State()
        self.state = self.server.state
        self.expected = []  # parts of console lines that the test causes on purpose
        self.size(1440, 900)
        self.open()
        self.js("localStorage.clear(); sessionStorage.clear()")
        self.browser.execute_async_script(
            "const end = arguments[0], r = indexedDB.open('duet', 1);"
            "r.onsuccess = () => { const s = [...r.result.objectStoreNames]; const t = r.result.transaction(s, 'readwrite');"
            "s.forEach(n => t.objectStore(n).clear()); t.oncomplete = () => (r.result.close(), end()); };")
        self.browser.get_log('browser')
        self.open()

    def tearDown(self):
        bad = [e['message'] for e in self.browser.get_log('browser') if e['level'] in ('SEVERE', 'WARNING')]
        bad = [m for m in bad if not any(part in m for part in self.expected)]
        self.assertEqual(bad, [], 'the console is clean')

    def open(self, tab=''):
        self.browser.get('about:blank')
        self.browser.get(self.url + tab)
        self.until("return !document.documentElement.classList.contains('wait') && document.getElementById('server').dataset.state")

    def size(self, width, height, scale=1):
        self.browser.execute_cdp_cmd('Emulation.setDeviceMetricsOverride',
                                     {'width': width, 'height': height, 'deviceScaleFactor': scale, 'mobile': width < 600})
        hover = 'none' if width < 600 else 'hover'
        self.browser.execute_cdp_cmd('Emulation.setEmulatedMedia', {'features': [
            {'name': 'hover', 'value': hover}, {'name': 'prefers-reduced-motion', 'value': 'reduce'}]})

    def js(self, script, *args):
        return self.browser.execute_script(script, *args)

    def until(self, script, *args, seconds=30):
        end = time.monotonic() + seconds
        while True:
            value = self.js(script, *args)
            if value or time.monotonic() > end:
                self.assertTrue(value, f'not within {seconds} s: {script}')
                return value
            time.sleep(0.05)

    def find(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return self.js('return document.querySelector(arguments[0]).textContent', selector)

    def click(self, selector):
        self.find(selector).click()

    def drop(self, files, target='main'):
        """files: pairs of name and bytes; kinds by their endings."""
        import base64
        kinds = {'.png': 'image/png', '.jpg': 'image/jpeg', '.txt': 'text/plain'}
        self.js(DROP, target, [[n, base64.b64encode(b).decode(), kinds.get(pathlib.Path(n).suffix, '')] for n, b in files])

    def asked(self, path):
        return [fields for p, fields in self.state.seen if p == path]

    def draw(self, prompt='a red circle', n=4):
        self.js("document.querySelector(`[name=count][value='${arguments[0]}']`).click()", n)
        box = self.find('#prompt')
        box.clear()
        box.send_keys(prompt)
        self.click('#draw')
        self.until("return document.querySelectorAll('#grid button.look').length === arguments[0] && !document.querySelector('.running')", n)

    def shot(self, name):
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.browser.save_screenshot(str(SHOTS / f'{name}.png'))

    def downloads(self):
        """{name: bytes} of what the page gives to be saved from here on."""
        self.js("""
window.saved = {};
const blobs = new Map(), make = URL.createObjectURL;
URL.createObjectURL = blob => { const url = make(blob); blobs.set(url, blob); return url; };
HTMLAnchorElement.prototype.click = function () { window.saved[this.download] = blobs.get(this.href); };""")
        read = """return Promise.all(Object.entries(window.saved).map(async ([name, blob]) =>
  [name, [...new Uint8Array(await blob.arrayBuffer())]]))"""
        return lambda: {name: bytes(data) for name, data in self.js(read)}


def sample(name):
    return (SAMPLES / name).read_bytes()
