#!/usr/bin/env node

/*
 * status.js URL STREAM [PICTURE]: uses the page of live_status as an operator
 * does: waits for the stream, plays it, ends it.  Prints one line of JSON with
 * what it has seen: { text, thumbnail, played, outside, crashes, after }.
 */

"use strict";

const { chromium } = require("playwright-core");

const DEADLINE = 30000;     /* ms, for each step */


let seen = null;


async function main(url, stream, picture) {
    seen = { outside: [], crashes: [], text: "", thumbnail: 0,
                   played: 0, after: "" };
    const host = new URL(url).host;

    const browser = await chromium.launch({
        executablePath: process.env.LIVE_CHROMIUM || "/usr/bin/chromium",
        headless: true,
        args: ["--no-sandbox", "--disable-gpu", "--mute-audio",
               "--disable-background-networking",
               "--autoplay-policy=no-user-gesture-required"]
    });
    const page = await browser.newPage({
        viewport: { width: 1100, height: 800 }
    });

    page.setDefaultTimeout(DEADLINE);
    page.on("pageerror", (error) => seen.crashes.push(error.message));
    page.on("console", (message) => {
        if (message.type() === "error") {
            seen.crashes.push(message.text());
        }
    });
    page.on("request", (request) => {
        const to = new URL(request.url());

        if (to.protocol.startsWith("http") && to.host !== host) {
            seen.outside.push(request.url());
        }
    });

    await page.goto(url, { waitUntil: "commit" });

    const article = page.locator("article", { hasText: stream });

    await article.locator("td").first().waitFor();

    /* what was measured comes near to 30 after a moment */
    await page.waitForFunction(() =>
        / [23]\d\.\d frames/.test(document.querySelector("table").innerText));
    await page.waitForFunction(() => {
        const image = document.querySelector("article img");
        return image && image.complete && image.naturalWidth > 0;
    });

    seen.thumbnail = await article.locator("img").evaluate(
        (image) => image.naturalWidth);
    seen.text = await article.innerText();

    await article.getByRole("button", { name: "Play" }).click();
    await page.waitForFunction(() => {
        const video = document.querySelector("video");
        return video && video.currentTime > 3 && video.videoWidth > 0
               && video.getVideoPlaybackQuality().totalVideoFrames > 30;
    });

    seen.played = await page.evaluate(() => {
        const video = document.querySelector("video");
        return video.getVideoPlaybackQuality().totalVideoFrames;
    });

    if (picture) {
        await page.screenshot({ path: picture });
    }

    await article.getByRole("button", { name: "Stop" }).click();
    await article.getByRole("button", { name: "Kick" }).click();
    await page.waitForFunction((name) => {
        const found = [...document.querySelectorAll("article")]
            .find((a) => a.innerText.includes(name));
        return !found || /\bended\b/.test(found.innerText);
    }, stream);

    seen.after = await page.evaluate(() => document.body.innerText);

    console.log(JSON.stringify(seen));
    await browser.close();
}


main(...process.argv.slice(2)).catch((error) => {
    console.error(error.message, JSON.stringify(seen));
    process.exit(1);
});
