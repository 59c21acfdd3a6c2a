"""Thunderbird, headless and unchanged, against a server: discover, create, change and delete in both directions, an invalid sync
token, and one contact that Thunderbird and both of Graph's shapes edit in turn without losing data."""

import pathlib
import socket
import subprocess
import time

from marionette_driver.marionette import Marionette

from graph import card, contacts, environment, folder, graph, origin, password, run, user

profile = folder / "profile"
profile.mkdir()
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
preferences = {
    "marionette.port": port,
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "mail.provider.enabled": False,
    "mail.spotlight.firstRunDone": True,
    "signon.rememberSignons": True,
    "network.proxy.type": 0,
}
lines = [f'user_pref("{name}", {str(value).lower() if isinstance(value, bool) else value});' for name, value in preferences.items()]
(profile / "user.js").write_text("\n".join(lines))
thunderbird = subprocess.Popen(
    ["thunderbird", "--headless", "--marionette", "-remote-allow-system-access", "--no-remote", "--profile", str(profile)],
    env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
)
try:
    client = Marionette(host="127.0.0.1", port=port, startup_timeout=120)
    for _ in range(120):
        try:
            client.start_session()
            break
        except Exception:
            time.sleep(1)
    client.set_context("chrome")
    client.timeout.script = 120

    book = ""

    def do(script, *arguments):
        program = """
            const [...parameters] = arguments; const done = parameters.pop();
            (async () => {
                const { CardDAVUtils } = ChromeUtils.importESModule("resource:///modules/CardDAVUtils.sys.mjs");
                const { CardDAVDirectory } = ChromeUtils.importESModule("resource:///modules/CardDAVDirectory.sys.mjs");
                const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
                const file = parameters.pop();
                const book = () => CardDAVDirectory.forFile(file);
                %s
            })().then(value => done({ value }), error => done({ error: String(error) + (error.stack || "") }));
        """ % script
        answer = client.execute_async_script(program, script_args=[*arguments, book])
        assert "error" not in answer, answer["error"]
        return answer.get("value")

    # Created before the address book, because Thunderbird misses changes between its first list and its first sync token.
    grace = graph("POST", "v1.0/me/contacts", {"givenName": "Grace", "surname": "Hopper"})["id"]
    names, book = do("""
        const books = await CardDAVUtils.detectAddressBooks(parameters[0], parameters[1], parameters[2], false, false);
        const made = await books[0].create();
        return [books.map(book => book.name), made.fileName];
    """, user, password, origin + "/dav/")
    assert names[0] == "Contacts", names

    def sync():
        do("await book().syncWithServer ? await book().syncWithServer() : await book().fetchAllFromServer();")

    def local_cards():
        return do("return book().childCards.map(card => [card.UID, card.displayName, card.vCardProperties.toVCard()]);")

    def until(is_expected):
        for _ in range(60):
            sync()
            found = local_cards()
            if is_expected(found):
                return found
            time.sleep(0.5)
        raise AssertionError(found)

    def wait_for_names(*names):
        return until(lambda found: [name for _, name, _ in found] == list(names))

    def wait_for_text(*parts):
        def is_expected(found):
            texts = [text for _, name, text in found if name == "Ada"]
            return len(texts) == 1 and all(part in texts[0] for part in parts)

        until(is_expected)

    wait_for_names("Grace Hopper")

    do("""
        const { AddrBookCard } = ChromeUtils.importESModule("resource:///modules/AddrBookCard.sys.mjs");
        const { VCardProperties } = ChromeUtils.importESModule("resource:///modules/VCardUtils.sys.mjs");
        const card = new AddrBookCard();
        card.setProperty("_vCard", parameters[0]);
        await book().addCard(card);
    """, card("ada", "Ada", "EMAIL:ada@example.org\r\nX-UNKNOWN;P=q:kept\\,so\r\nTEL;TYPE=CELL:+1\r\n"))
    for _ in range(60):
        found = [contact for contact in contacts() if contact["displayName"] == "Ada"]
        if found:
            break
        time.sleep(0.5)
    [ada] = found
    path = f"me/contacts/{ada['id']}"
    graph("PATCH", f"v1.0/{path}", {"jobTitle": "Countess"})
    graph("PATCH", f"beta/{path}", {"nickName": "Augusta", "isFavorite": True})
    wait_for_text("TITLE:Countess", "NICKNAME:Augusta", "kept\\,so", "+1", "ada@example.org")

    do("""
        const card = book().childCards.find(card => card.displayName == "Ada");
        card.vCardProperties.addValue("note", "by Thunderbird");
        await book().modifyCard(card);
    """)
    for _ in range(60):
        now = graph("GET", f"beta/{path}")
        if now.get("personalNotes") == "by Thunderbird":
            break
        time.sleep(0.5)
    assert now["personalNotes"] == "by Thunderbird", now
    assert (now["jobTitle"], now["nickName"], now["isFavorite"]) == ("Countess", "Augusta", True), now

    # A fourth client edits the same contact. No client has lost what another wrote.
    cards = folder / "cards"
    (folder / "vdirsyncer.conf").write_text(f"""
[general]
status_path = "{folder}/status/"
[pair contacts]
a = "local"
b = "remote"
collections = ["from b"]
[storage local]
type = "filesystem"
path = "{cards}/"
fileext = ".vcf"
[storage remote]
type = "carddav"
url = "{origin}/dav/"
username = "{user}"
password = "{password}"
""")
    vdirsyncer = ("target/recipes/vdirsyncer/bin/vdirsyncer", "-c", str(folder / "vdirsyncer.conf"))
    run(*vdirsyncer, "discover", "contacts", answer="y\n" * 10)
    run(*vdirsyncer, "sync")
    [file] = [file for file in (cards / "contacts").iterdir() if "FN:Ada" in file.read_text()]
    file.write_text(file.read_text().replace("+1", "+44"))
    run(*vdirsyncer, "sync")
    wait_for_text("TITLE:Countess", "NICKNAME:Augusta", "kept\\,so", "+44", "ada@example.org", "by Thunderbird")
    now, in_v1 = graph("GET", f"beta/{path}"), graph("GET", f"v1.0/{path}")
    assert (now["jobTitle"], now["nickName"], now["isFavorite"]) == ("Countess", "Augusta", True), now
    assert (in_v1["mobilePhone"], in_v1["personalNotes"]) == ("+44", "by Thunderbird"), in_v1

    # A sync token that the server does not know: Thunderbird starts over.
    do("book()._syncToken = 'data:,nonsense';")
    graph("DELETE", f"v1.0/me/contacts/{grace}")
    wait_for_names("Ada")

    do("await book().deleteCards(book().childCards);")
    for _ in range(60):
        if not contacts():
            break
        time.sleep(0.5)
    assert contacts() == []
    print("Thunderbird is done")
finally:
    thunderbird.terminate()
    thunderbird.wait(timeout=60)
