#!/usr/bin/env node

/*
 * play.js URL...: opens each page in a Chromium of its own tab and prints,
 * twice a second, one line of JSON for each: { page, report } with what the
 * page's liveReport() returns, or { page, crash } for an uncaught error, or
 * { page, refused } for an answer of 400 or above.  Ends at SIGTERM; with
 * LIVE_SHOTS=DIR it leaves DIR/page-N.png then.
 */

"use strict";

const { chromium } = require("playwright-core");

const INTERVAL = 500;       /* ms */

const ARGUMENTS = [
    "--no-sandbox",         /* as root */
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--mute-audio",

    /* each page as if it were the one that is looked at */
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding"
];


function print(entry) {
    process.stdout.write(JSON.stringify(entry) + "\n");
}


async function open(browser, url, n) {
    const context = await browser.newContext({
        viewport: { width: 1280, height: 860 }
    });
    const page = await context.newPage();

    page.on("pageerror", (error) => {
        print({ page: n, crash: error.message });
    });

    page.on("crash", () => print({ page: n, crash: "the page crashed" }));

    page.on("response", (response) => {
        if (response.status() >= 400) {
            print({ page: n,
                    refused: response.status() + " " + response.url() });
        }
    });

    await page.goto(url);

    return page;
}


async function main(urls) {
    let ends = null;
    const end = new Promise((resolve) => { ends = resolve; });

    process.on("SIGTERM", () => ends("end"));
    process.on("SIGINT", () => ends("end"));

    const browser = await chromium.launch({
        executablePath: process.env.LIVE_CHROMIUM || "/usr/bin/chromium",
        headless: true,
        args: ARGUMENTS,
        handleSIGTERM: false,
        handleSIGINT: false
    });

    const pages = [];

    for (const url of urls) {
        pages.push(await open(browser, url, pages.length));
    }

    for ( ;; ) {
        const pause = new Promise((resolve) => {
            setTimeout(resolve, INTERVAL);
        });

        if (await Promise.race([end, pause]) === "end") {
            break;
        }

        for (let n = 0; n < pages.length; n++) {
            const report = await pages[n].evaluate(() => {
                return window.liveReport ? window.liveReport() : null;
            });

            if (report) {
                print({ page: n, report: report });
            }
        }
    }

    if (process.env.LIVE_SHOTS) {
        for (let n = 0; n < pages.length; n++) {
            await pages[n].screenshot({
                path: process.env.LIVE_SHOTS + "/page-" + n + ".png"
            });
        }
    }

    await browser.close();
}


main(process.argv.slice(2)).catch((error) => {
    print({ crash: String(error) });
    process.exit(1);
});
